"""Here: from ECG recordings to spectrograms, decisions and reports. Not here: Airflow (``dags``, ``plugins``, ``ecg_ui``)."""

from typing import Any

__version__ = "0.2.0"


def __getattr__(name: str) -> Any:
    """Return `ECG_Classifier` under its old name, and import it only when it is asked for."""
    if name == "ECG_Classifier":
        from ecg_tasks.offline.classify_file import ECG_Classifier

        return ECG_Classifier
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
