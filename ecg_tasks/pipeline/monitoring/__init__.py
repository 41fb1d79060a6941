"""Here: whether the nights are as they should be, and who is notified. Not here: the nightly run (``reports``)."""
