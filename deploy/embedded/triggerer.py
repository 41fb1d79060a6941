"""Here: Airflow's triggerer: ``python -m deploy.embedded.triggerer``, whose supervisor asks its database less often. Not here: triggers.

Airflow's own asks seven questions every second, though hardly ever is there a new trigger: 1 % of a core in a stack that has nothing to do.
Its two processes, of which one is a fork of the other, copy what they could share as soon as they look for garbage.
"""

import gc
import sys
import time
from typing import Any

from airflow.__main__ import main as airflow
from airflow.jobs import triggerer_job_runner

LOOK_S = 6.0
"""A trigger begins, or is called off, so much later at most. What triggers tell is handed on at once, as ever."""


class Supervisor(triggerer_job_runner.TriggerRunnerSupervisor):
    """Looks for new triggers, and for those that no task waits for any more, every `LOOK_S` seconds instead of every second."""

    _looks_at = 0.0
    _cleans_at = 0.0

    @classmethod
    def start(cls, **more: Any) -> Any:
        """Start the process of the triggers, in which what is there now is looked through for garbage no more, here neither."""
        gc.collect()
        gc.freeze()
        return super().start(**more)

    def load_triggers(self) -> None:
        """Tell the process of the triggers which to begin and which to call off, when it is time again."""
        if time.monotonic() >= self._looks_at:
            super().load_triggers()
            self._looks_at = time.monotonic() + LOOK_S

    def clean_unused(self) -> None:
        """Remove triggers that no task waits for, when it is time again."""
        if time.monotonic() >= self._cleans_at:
            super().clean_unused()
            self._cleans_at = time.monotonic() + LOOK_S


def main() -> None:
    """Become ``airflow triggerer`` with this supervisor; Airflow has no setting for it."""
    triggerer_job_runner.TriggerRunnerSupervisor = Supervisor  # type: ignore[misc]
    sys.argv = ["airflow", "triggerer", *sys.argv[1:]]
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
