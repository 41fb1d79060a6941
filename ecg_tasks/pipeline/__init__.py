"""Here: what the DAGs do: one module a DAG under the DAG's own name, one function a task; what they share lies in the folders beside them.

Not here: when they run (``dags/``), what pages and the command line read of it (``queries``), or what lies in the bucket (``archive``).
"""
