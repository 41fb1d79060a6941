"""Here: what the installed package tells an Airflow of your own: its name, its trigger, its notifier and its pages.

Not here: these themselves (``plugins/``). The embedded stack and the images load the plugins' folder, and need none of this.
"""

from pathlib import Path
from typing import Any

import ecg_tasks

DAGS = Path(__file__).parents[1] / "ecg_spectrograms" / "dags"
"""The folder of the DAGs in the installed package, for Airflow's ``dags_folder``."""
POOLS = Path(__file__).with_name("pools.json")
"""For ``airflow pools import``."""


def get_provider_info() -> dict[str, Any]:
    """Return what ``airflow providers`` shows, in the form of Airflow's ``provider_info.schema.json``."""
    integration = "ECG spectrograms"
    return {
        "package-name": "ecg-spectrograms",
        "name": integration,
        "description": "Batch classification of ECG recordings from their spectrograms: DAGs, an inbox's watcher, notices and pages.",
        "versions": [ecg_tasks.__version__],
        "integrations": [{"integration-name": integration, "tags": ["software"]}],
        "triggers": [{"integration-name": integration, "python-modules": ["inbox_trigger"]}],
        "notifications": ["report_notifier.ReportNotifier"],
    }


def __getattr__(name: str) -> Any:
    """Give Airflow the plugin of the pages; None where its plugins' folder has it already, because Airflow calls a second one an error."""
    if name != "plugin":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from airflow.configuration import conf

    if (Path(conf.get("core", "plugins_folder")) / "ecg_pages.py").exists():
        return None
    from ecg_pages import EcgPages

    return EcgPages
