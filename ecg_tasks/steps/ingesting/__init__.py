"""Here: the DAG ``ingest_records``: what waits in the inbox, taken into the archive or quarantine. Not here: drawing it (``render``)."""
