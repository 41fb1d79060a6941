"""Here: where a thing in the bucket comes from, link by link. Not here: whether the log is whole (``audit_log``)."""
