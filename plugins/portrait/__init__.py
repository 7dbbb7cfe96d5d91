"""``access`` asks Airflow, ``summary`` asks the warehouse, ``page`` shows what both say."""
