"""Here: Airflow's dag-processor: ``python -m deploy.embedded.dag_processor``, which looks less often. Not here: DAG files.

Airflow's own looks every second whether a file has changed, and asks its database whether somebody wants a file read again, whether a
notice is to be sent, and whether a warning is out of date: each time twelve exchanges with it.
"""

import sys
from typing import TYPE_CHECKING

from airflow.__main__ import main as airflow
from airflow.dag_processing import manager

from deploy.embedded import component
from deploy.embedded.glance import Glance

if TYPE_CHECKING:
    from airflow.callbacks.callback_requests import CallbackRequest

LOOK_S = 5.0
"""A notice goes out, and a file is read again that has changed or that somebody asks for, so much later at most."""
_WAITING = """
select exists (select from dag_priority_parsing_request), exists (select from callback), exists (select from dag_warning)
"""


class Manager(manager.DagFileProcessorManager):
    """Goes round every `LOOK_S` seconds while it reads no file, and asks its database only for what waits there."""

    _glance = Glance(_WAITING)
    _waiting: tuple[object, ...] = (True, True, True)

    def before_run(self) -> None:
        """Make ready for the rounds."""
        component.started()
        super().before_run()

    def claim_priority_files(self) -> "list[manager.DagFileInfo]":
        """Return the files that somebody wants read again; each round of the manager begins with this."""
        self._waiting = self._glance.answer() or (True, True, True)  # where there is no answer, Airflow's own question reports it
        return super().claim_priority_files() if self._waiting[0] else []

    def fetch_callbacks(self) -> "list[CallbackRequest]":
        """Return what is to be called for runs that have ended."""
        return super().fetch_callbacks() if self._waiting[1] else []

    def purge_inactive_dag_warnings(self) -> None:
        """Remove warnings that are out of date."""
        if self._waiting[2]:
            super().purge_inactive_dag_warnings()

    def _service_processor_sockets(self, timeout: float | None = 1.0) -> None:
        """Wait for what the processes that read files say, or until the next round."""
        reads = self._processors or self._file_queue
        super()._service_processor_sockets(timeout=timeout if reads else LOOK_S)


def main() -> None:
    """Become ``airflow dag-processor`` with this manager; Airflow has no setting for it."""
    manager.DagFileProcessorManager = Manager  # type: ignore[misc]
    sys.argv = ["airflow", "dag-processor", *sys.argv[1:]]
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
