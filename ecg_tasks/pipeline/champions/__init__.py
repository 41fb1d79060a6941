"""Here: versions in the bucket: which one serves, who decided that, and the shipped ones. Not here: making one (``training``)."""
