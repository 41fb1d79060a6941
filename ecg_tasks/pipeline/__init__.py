"""Here: what the DAGs do: a module for each DAG, under its name, with a function for each task; the folders have what DAGs share.

Not here: when they run (``dags/``), what pages and the command line read (``queries``), or how the bucket is read (``archive``).
"""
