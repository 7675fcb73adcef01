"""Stands in for Airflow: as much of it as examples/airflow_dag.py uses, in types and in deeds. A task runs where it is called."""
