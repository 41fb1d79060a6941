"""Here: the reports that people read: templates and figures. Not here: reading the bucket (``archive``, ``queries``)."""
