"""Here: the watchers of the inbox, as Airflow's triggerer runs them: by looking, or by what the bucket tells a queue.

Not here: how the bucket is listed (``ecg_tasks.pipeline.intake.inbox``), or what a message says (``notifications`` beside it).
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

if TYPE_CHECKING:
    from ecg_tasks.archive.queue import Message, MessageQueue

IDLE_SHARE, BUSY_SHARE = 0.01, 0.1
"""Of a core that looking into the inbox may take, while nothing changes there and while something does."""
UNMARKED_S = 20.0
"""So often the inbox is listed although the store has marked no change: a listing may have missed a write, and gets it later."""
LONG_POLL_S = 10
HIDDEN_S = 60
"""So long no other reader sees a message that was received: more than a watcher needs from there to its deletion."""


def chosen_trigger() -> "InboxTrigger | InboxQueueTrigger":
    """Return the watcher that the environment asks for: ``ECG_INBOX_QUEUE`` names a queue, and without it the inbox is looked at."""
    from ecg_tasks.settings import inbox_queue

    queue = inbox_queue()
    return InboxQueueTrigger(queue) if queue else InboxTrigger()


class InboxTrigger(BaseEventTrigger):
    """Fires once for every change of the inbox, as soon as the change has settled.

    A drop of many files arrives over some seconds. The event waits until two polls in a row see the same,
    so that a drop is taken over whole, but never longer than ``patience_s`` after the change was first seen.
    What stays in the inbox (a recording whose second file is still missing) fires no second time.

    A look lists the whole inbox, so its cost grows with what waits there: some 100 microseconds of processor time a key. While nothing
    changes the watcher takes at most a hundredth of a core, and a tenth while something does: where a look costs more than its share of
    ``poll_s``, the next comes later, but within ``longest_s``. Where the store marks its changes, an inbox is listed only after one.

    Parameters
    ----------
    poll_s : seconds between two looks into the inbox
    patience_s : seconds after which an inbox that keeps changing fires nevertheless
    longest_s : seconds between two looks at most, however many files wait
    """

    def __init__(self, poll_s: float = 2.0, patience_s: float = 4.0, longest_s: float = 120.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own lack
        self.poll_s = poll_s
        self.patience_s = patience_s
        self.longest_s = longest_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments from which the triggerer makes this trigger again."""
        return "inbox_trigger.InboxTrigger", {"poll_s": self.poll_s, "patience_s": self.patience_s, "longest_s": self.longest_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Watch for ever; a store that does not answer is logged once and asked again."""
        fired = last = ""
        changed_at: float | None = None
        reachable = True
        pause_s = self.poll_s
        listing = Listing()
        while True:
            try:
                now, cost_s = await listing.latest()
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
                    share = IDLE_SHARE
                else:
                    share = BUSY_SHARE
                    changed_at = time.monotonic() if changed_at is None else changed_at
                    if now == last or time.monotonic() - changed_at >= self.patience_s:
                        fired, changed_at = now, None
                        yield TriggerEvent({"inbox": now})  # type: ignore[no-untyped-call]  # Airflow's own lack
                last = now
                pause_s = min(max(self.poll_s, cost_s / share), max(self.poll_s, self.longest_s))
            await asyncio.sleep(pause_s)


class Listing:
    """The inbox as it was listed last, and listed again when the store has changed since, or does not say."""

    def __init__(self) -> None:
        self._seen = ""
        self._mark: int | None = None
        self._until = 0.0

    async def latest(self) -> tuple[str, float]:
        """Return a digest of what waits in the inbox, and the processor time that looking took, in seconds."""
        mark = mark_of_changes()  # before the listing: what is written during one is seen by the next
        if mark is not None and mark == self._mark and time.monotonic() < self._until:
            return self._seen, 0.0
        self._mark = None
        self._seen, cost_s = await asyncio.to_thread(timed, waiting)
        self._mark, self._until = mark, time.monotonic() + UNMARKED_S
        return self._seen, cost_s


class InboxQueueTrigger(BaseEventTrigger):
    """Fires when the bucket has reported new objects to a queue in the inbox.

    A drop of many files is reported in many messages over some seconds. The event waits until the queue has been silent for a moment, but
    never longer than ``patience_s`` after the first of them. Messages are deleted when the event is out: should the triggerer die
    before, they come again, and a run that finds nothing new does nothing. So does one that a message starts which came twice.

    Parameters
    ----------
    queue : address of the queue
    quiet_s : seconds without a message after which a drop is taken for whole
    patience_s : seconds after which the event goes out nevertheless
    """

    def __init__(self, queue: str, quiet_s: int = 2, patience_s: float = 4.0) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # Airflow's own lack
        self.queue = queue
        self.quiet_s = quiet_s
        self.patience_s = patience_s

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and arguments from which the triggerer makes this trigger again."""
        return "inbox_trigger.InboxQueueTrigger", {"queue": self.queue, "quiet_s": self.quiet_s, "patience_s": self.patience_s}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Listen for ever; a queue that does not answer is logged once and asked again."""
        connection: MessageQueue | None = None
        reachable = True
        while True:
            try:
                if connection is None:
                    connection = await asyncio.to_thread(connect, self.queue)
                received, dropped = await self._drop(connection)
                if not reachable:
                    self.log.info("The queue can be read again")
                reachable = True
                if dropped:
                    yield TriggerEvent({"inbox": len(dropped)})  # type: ignore[no-untyped-call]  # Airflow's own lack
                if received:
                    await asyncio.to_thread(connection.delete, received)
            except Exception as error:  # noqa: BLE001 - whatever the queue does, the watcher must outlive it
                if reachable:
                    self.log.warning("The queue cannot be read, going on asking: %s", error)
                reachable = False
                await asyncio.sleep(self.quiet_s)

    async def _drop(self, connection: "MessageQueue") -> "tuple[list[Message], set[str]]":
        """Return messages that came together, and the keys in the inbox that they name."""
        received: list[Message] = []
        dropped: set[str] = set()
        first_at = 0.0
        while True:
            wait_s = self.quiet_s if dropped else LONG_POLL_S
            messages = await asyncio.to_thread(connection.receive, wait_s=wait_s, hidden_s=HIDDEN_S)
            for message in messages:
                found, fault = read_message(message.body)
                if fault:
                    self.log.warning("A message of %d characters is dropped: %s", len(message.body), fault)
                first_at = first_at or (time.monotonic() if found else 0.0)
                dropped.update(found)
            received += messages
            if not messages or not dropped or time.monotonic() - first_at >= self.patience_s:
                return received, dropped


def connect(queue: str) -> "MessageQueue":
    """Return a connection to a queue; imported late, as below."""
    from ecg_tasks.archive.queue import MessageQueue

    return MessageQueue.connect(queue)


def read_message(body: str) -> tuple[tuple[str, ...], str]:
    """Return the keys in the inbox that a message names, and what is wrong with it; imported late, as below."""
    from ecg_tasks.pipeline.intake import notifications
    from ecg_tasks.settings import Settings

    notice = notifications.read_notice(body, bucket=Settings.from_environment().bucket)
    return notice.keys, notice.fault


def waiting() -> str:
    """Return a digest of what waits in the inbox, or an empty string; imported late because the DAG files import this module."""
    from ecg_tasks.pipeline.intake import inbox

    return inbox.waiting()


def mark_of_changes() -> int | None:
    """Return a number that is another one after each change in the store; None where no store marks its changes."""
    from ecg_tasks.settings import store_changes

    file = store_changes()
    try:
        return file.stat().st_mtime_ns if file else None
    except OSError:
        return None


def timed(look: Callable[[], str]) -> tuple[str, float]:
    """Return what was seen, and the processor time that looking took, in seconds: what a busy machine adds to it is not its cost."""
    before = time.thread_time()
    return look(), time.thread_time() - before
