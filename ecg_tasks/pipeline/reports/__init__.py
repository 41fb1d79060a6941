"""Here: what the reports of ``classify_records`` and ``backfill_version`` hold. Not here: their tasks, or drawing pages (``reporting``)."""
