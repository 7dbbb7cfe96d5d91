"""The library: the stages of the flow, in plain Python; it imports no Airflow."""
