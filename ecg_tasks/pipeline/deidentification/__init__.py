"""Here: taking identifiers out of a bucket that an earlier version, or other settings, filled. Not here: the door (``pipeline.intake``)."""
