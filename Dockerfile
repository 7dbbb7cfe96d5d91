# Airflow's own image, with the libraries of the lock. The code is mounted, so it needs no rebuild.
ARG AIRFLOW_IMAGE=apache/airflow:3.3.2-python3.11
FROM ${AIRFLOW_IMAGE}
USER airflow

# A new volume takes the owner of the folder it covers: group 0 may write, whatever AIRFLOW_UID is.
RUN mkdir --mode=775 /opt/airflow/var

COPY requirements.txt /tmp/requirements.txt
RUN pip install --no-cache-dir --require-hashes --requirement /tmp/requirements.txt
