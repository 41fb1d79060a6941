"""Here: people's accounts in Airflow: roles, logins, and the commands that manage them. Not here: what a page asks of a right (``ecg_ui``)."""
