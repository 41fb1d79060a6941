"""Here: whether the nights are as they should be, and who is told of it. Not here: the nightly run (``reports``)."""
