"""What this project costs, beside the notebook's own way of doing it, measured in one run: ``./ecg bench``."""
