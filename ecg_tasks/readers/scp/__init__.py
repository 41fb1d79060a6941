"""Here: SCP-ECG. Not here: other formats."""
