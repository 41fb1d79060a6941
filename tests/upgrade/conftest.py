"""Here: what pytest leaves alone. Not here: fixtures."""

collect_ignore = ["read_by_version_0_1.py"]
"""Its imports are those of version 0.1."""
