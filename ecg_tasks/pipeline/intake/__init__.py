"""Here: what ``ingest_records`` is made of: the inbox sorted, read, taken over or put into quarantine. Not here: its tasks."""
