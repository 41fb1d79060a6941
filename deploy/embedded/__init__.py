"""Here: PostgreSQL, an S3 server and Airflow on one machine under one supervisor, without Docker or root.

Not here: what the tasks do (``ecg_tasks``), or how a person calls this (``ecg_tasks.cli``).
"""

from deploy.embedded.stack import Stack

__all__ = ["Stack"]
