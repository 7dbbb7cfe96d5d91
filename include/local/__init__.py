"""A machine that has neither PostgreSQL nor a CRM: both, and Airflow, behind the make commands."""
