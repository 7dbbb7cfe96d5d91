"""The library: the stages of the flow, in plain Python. Nothing in here imports Airflow at import time."""
