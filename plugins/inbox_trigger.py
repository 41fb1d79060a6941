"""Here: the watcher of the inbox, as Airflow's triggerer runs it. Not here: how the bucket is listed (``ecg_tasks.steps.inbox``)."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent


class InboxTrigger(BaseEventTrigger):
    """Fires once for every change of the inbox, as soon as the change has settled.

    A drop of many files arrives over some seconds. The event waits until two polls in a row see the same,
    so that a drop is taken over whole, but never longer than ``patience_s`` after the change was first seen.
    What stays in the inbox (a recording whose second file is still missing) fires no second time.

    Parameters
    ----------
    poll_s : seconds between two looks into the inbox
    patience_s : seconds after which an inbox that keeps changing fires all the same
    """

    def __init__(self, poll_s: float = 2.0, patience_s: float = 4.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own lack
        self.poll_s = poll_s
        self.patience_s = patience_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments from which the triggerer makes this trigger again."""
        return "inbox_trigger.InboxTrigger", {"poll_s": self.poll_s, "patience_s": self.patience_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch for ever; a store that does not answer is logged once and asked again."""
        fired = last = ""
        changed_at: float | None = None
        reachable = True
        while True:
            try:
                now = await asyncio.to_thread(waiting)
            except Exception as error:  # noqa: BLE001 - whatever the store does, the watcher must outlive it
                if reachable:
                    self.log.warning("The inbox cannot be listed, going on asking: %s", error)
                reachable = False
            else:
                if not reachable:
                    self.log.info("The inbox can be listed again")
                reachable = True
                if now in ("", fired):
                    changed_at = None
                    fired = now
                else:
                    changed_at = time.monotonic() if changed_at is None else changed_at
                    if now == last or time.monotonic() - changed_at >= self.patience_s:
                        fired, changed_at = now, None
                        yield TriggerEvent({"inbox": now})  # type: ignore[no-untyped-call]  # Airflow's own lack
                last = now
            await asyncio.sleep(self.poll_s)


def waiting() -> str:
    """Return a digest of what waits in the inbox, or an empty string; imported late because the DAG files import this module."""
    from ecg_tasks.steps import inbox

    return inbox.waiting()
