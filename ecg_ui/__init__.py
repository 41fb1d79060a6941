"""Here: the ECG pages inside Airflow, rendered by the server. Not here: reading the bucket (``ecg_tasks.queries``) or drawing signals."""
