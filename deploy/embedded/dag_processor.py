"""Here: Airflow's dag-processor: ``python -m deploy.embedded.dag_processor``, which asks its database less often. Not here: DAG files.

Airflow's own asks every second whether somebody wants a file read anew, whether a notice is to be sent, and whether a warning is out of
date.
"""

import sys
import time
from typing import TYPE_CHECKING

from airflow.__main__ import main as airflow
from airflow.dag_processing import manager

if TYPE_CHECKING:
    from airflow.callbacks.callback_requests import CallbackRequest

LOOK_S = 5.0
"""A notice goes out, and a file is read anew where somebody asks for it, so much later at most."""


class Manager(manager.DagFileProcessorManager):
    """Asks its database every `LOOK_S` seconds instead of every second."""

    _looks_at = 0.0
    _looks = True

    def claim_priority_files(self) -> "list[manager.DagFileInfo]":
        """Return the files that somebody wants read anew, when it is time again; each round of the manager begins with this."""
        self._looks = time.monotonic() >= self._looks_at
        if not self._looks:
            return []
        self._looks_at = time.monotonic() + LOOK_S
        return super().claim_priority_files()

    def fetch_callbacks(self) -> "list[CallbackRequest]":
        """Return what is to be called for runs that have ended, when it is time again."""
        return super().fetch_callbacks() if self._looks else []

    def purge_inactive_dag_warnings(self) -> None:
        """Remove warnings that are out of date, when it is time again."""
        if self._looks:
            super().purge_inactive_dag_warnings()


def main() -> None:
    """Become ``airflow dag-processor`` with this manager; Airflow has no setting for it."""
    manager.DagFileProcessorManager = Manager  # type: ignore[misc]
    sys.argv = ["airflow", "dag-processor", *sys.argv[1:]]
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
