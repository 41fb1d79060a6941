"""Here: the DAGs ``classify_records`` and ``backfill_version``, and what reports hold. Not here: drawing pages (``reporting``)."""
