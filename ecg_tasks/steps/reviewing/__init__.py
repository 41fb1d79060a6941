"""Here: labels, the reviewers' queue, and what they said. Not here: learning from labels (``training``)."""
