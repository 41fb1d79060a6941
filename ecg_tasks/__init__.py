"""ECG recordings to windows, to spectrograms, to decisions, and their reports. Knows no Airflow."""

from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Give `ECG_Classifier` its old address without the cost of its imports for everybody else."""
    if name == "ECG_Classifier":
        from ecg_tasks.offline.classify_file import ECG_Classifier

        return ECG_Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
