"""Here: what runs inside the containers of ``docker-compose.yaml`` beside Airflow itself. Not here: the embedded stack."""
