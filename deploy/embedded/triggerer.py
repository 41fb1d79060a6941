"""Here: Airflow's triggerer: ``python -m deploy.embedded.triggerer``, whose two processes wake less often. Not here: triggers.

Airflow's own supervisor asks seven questions every second, though hardly ever is there a new trigger: 1 % of a core in a stack that has
nothing to do. The process of the triggers asks it as often for news, and looks ten times a second whether a trigger holds up the others.
Its two processes, of which one is a fork of the other, copy what they could share as soon as they look for garbage.
"""

import asyncio
import gc
import math
import sys
import time
from typing import Any

from airflow.__main__ import main as airflow
from airflow.jobs import triggerer_job_runner

from deploy.embedded import component
from deploy.embedded.glance import Glance

ASK_S = 3.0
"""Between two questions of the process of the triggers for news, where it has none itself, and between two glances of its supervisor: a
trigger begins six seconds later at most. What triggers tell is handed on at once, as before."""
LOOK_S = 30.0
"""Between two looks for triggers to begin or to call off although a glance sees nothing new."""
_TRACES = """
select (select count(*) from trigger), (select max(id) from trigger), (select count(triggerer_id) from trigger),
       (select count(*) from task_instance where trigger_id is not null)
"""


class Runner(triggerer_job_runner.TriggerRunner):
    """The process of the triggers, which asks the supervisor for news every `ASK_S` seconds, and tells it its own at once."""

    _asks_at = -math.inf

    async def sync_state_to_supervisor(self, finished_ids: list[int]) -> None:
        """Tell the supervisor what there is to tell, and hear which triggers to begin and which to call off."""
        if finished_ids or self.events or self.failed_triggers or time.monotonic() >= self._asks_at:
            self._asks_at = time.monotonic() + ASK_S
            await super().sync_state_to_supervisor(finished_ids)

    async def block_watchdog(self) -> None:
        """Say when a trigger has held up the others, looking once a second."""
        while not self.stop:
            due = time.monotonic() + 1.0
            await asyncio.sleep(1.0)
            if (late_s := time.monotonic() - due) > self.blocked_main_thread_warning_threshold:
                await self.log.awarning("a trigger has held up all others", seconds=round(late_s, 2))


class Supervisor(triggerer_job_runner.TriggerRunnerSupervisor):
    """Looks for new triggers, and for those that no task waits for any more, where a glance reports a change, instead of every second."""

    _glance = Glance(_TRACES)
    _seen: tuple[object, ...] = ()
    _looks_at = 0.0
    _is_due = True

    @classmethod
    def start(cls, **more: Any) -> Any:
        """Start the process of the triggers, in which what is there now is looked through for garbage no more, here neither."""
        component.started()
        gc.collect()
        gc.freeze()
        return super().start(**more)

    @classmethod
    def run_in_process(cls) -> None:
        """Be the process of the triggers."""
        Runner().run()  # type: ignore[no-untyped-call]

    def _service_subprocess(self, max_wait_time: float, *ending: Any, **more: Any) -> Any:
        """Wait for what the other process says, which it does every `ASK_S` seconds unless it hangs."""
        return super()._service_subprocess(max_wait_time if ending or more else 2 * ASK_S, *ending, **more)

    def load_triggers(self) -> None:
        """Tell the process of the triggers which to begin and which to call off, when that may have changed."""
        before, self._seen = self._seen, self._glance.answer()
        self._is_due = not self._seen or self._seen != before or time.monotonic() >= self._looks_at
        if self._is_due:
            super().load_triggers()
            self._looks_at = time.monotonic() + LOOK_S

    def clean_unused(self) -> None:
        """Remove triggers that no task waits for, in the same rounds."""
        if self._is_due:
            super().clean_unused()


def main() -> None:
    """Become ``airflow triggerer`` with this supervisor; Airflow has no setting for it."""
    triggerer_job_runner.TriggerRunnerSupervisor = Supervisor  # type: ignore[misc]
    sys.argv = ["airflow", "triggerer", *sys.argv[1:]]
    airflow()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
