"""Here: the WFDB format: its header, its signal files, its compressed ones. Not here: what a recording is (``signals.record``)."""
