"""ECG recordings to windows, to spectrograms, to decisions, and their reports. Knows no Airflow."""
