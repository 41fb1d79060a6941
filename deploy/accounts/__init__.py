"""Here: people's accounts in Airflow: roles, logins, and the commands that manage them. Not here: what pages ask (``ecg_ui``)."""
