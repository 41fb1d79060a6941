"""The inbox's watcher: one event for a settled change, none for what stays, and no end when the store is away."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import inbox_trigger
import pytest
from inbox_trigger import InboxTrigger

from ecg_tasks.errors import StoreError
from ecg_tasks.pipeline.intake import inbox

ROOT = Path(__file__).parents[2]
POLL_S = 2.0


class NoMorePolls(BaseException):
    """Ends a watcher that would watch for ever."""


@pytest.fixture
def watch(monkeypatch):
    """Lets the watcher see one digest (or error) a poll, and returns the numbers of the polls at which it fired."""

    def watch(*seen):
        polls = iter(seen)
        clock = [0.0]
        fired = []
        n_polls = 0

        def waiting():
            nonlocal n_polls
            n_polls += 1
            outcome = next(polls, NoMorePolls())
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        async def sleep(seconds):
            clock[0] += seconds

        async def run():
            async for _ in InboxTrigger(poll_s=POLL_S, patience_s=4.0).run():
                fired.append(n_polls)  # noqa: PERF401 - what was fired must be there when the watcher is ended

        monkeypatch.setattr(inbox_trigger, "waiting", waiting)
        monkeypatch.setattr(inbox_trigger.asyncio, "sleep", sleep)
        monkeypatch.setattr(inbox_trigger.time, "monotonic", lambda: clock[0])
        with pytest.raises(NoMorePolls):
            asyncio.run(run())
        return fired

    return watch


@pytest.mark.parametrize(
    ("seen", "fired"),
    [
        pytest.param(["", "", ""], [], id="nothing there"),
        pytest.param(["", "a", "a", "a", "a"], [3], id="settled, and stays"),
        pytest.param(["a", "a"], [2], id="was there at the start"),
        pytest.param(["a", "b", "b", "b"], [3], id="two files, one after the other"),
        pytest.param(["a", "b", "c", "d", "e", "e", "e"], [3, 6], id="settles late"),
        pytest.param(["a", "a", "", "a", "a"], [2, 5], id="taken over, then dropped again"),
        pytest.param(["a", "a", "b", "b"], [2, 4], id="something more"),
        pytest.param(["a", "a", "b", "a", "a"], [2], id="came and went"),
    ],
)
def test_fires(watch, seen, fired):
    """An event follows when two polls agree on a change, or when it has gone on for the patience, and never twice for one."""
    assert watch(*seen) == fired


@pytest.mark.parametrize(
    ("cost_s", "pauses"),
    [
        pytest.param(0.004, [2.0, 2.0, 2.0, 2.0], id="a small inbox is looked at every two seconds"),
        pytest.param(0.4, [4.0, 4.0, 40.0, 40.0], id="forty thousand files take a hundredth of a core while nothing changes"),
        pytest.param(10.0, [100.0, 100.0, 120.0, 120.0], id="a million files are looked at every two minutes"),
    ],
)
def test_looks_less_often_at_what_is_dear_to_list(monkeypatch, cost_s, pauses):
    """The pause follows from the processor time that a look takes: a tenth of a core while something changes, else a hundredth."""
    seen, slept = iter(["a", "b", "b", "b"]), []

    async def sleep(seconds):
        slept.append(seconds)

    def look(_):
        outcome = next(seen, None)
        if outcome is None:
            raise NoMorePolls
        return outcome, cost_s

    async def run():
        async for _ in InboxTrigger(patience_s=1000.0).run():
            pass

    monkeypatch.setattr(inbox_trigger, "timed", look)
    monkeypatch.setattr(inbox_trigger.asyncio, "sleep", sleep)
    with pytest.raises(NoMorePolls):
        asyncio.run(run())
    assert slept == pytest.approx([pauses[0], pauses[1], pauses[1], pauses[3]])


def test_an_inbox_is_listed_when_its_store_has_changed(monkeypatch, tmp_path):
    """Not while the store marks no change, but every twenty seconds; what changed during a listing is listed again, as is a failed one."""
    file = tmp_path / "changed"
    monkeypatch.setenv("ECG_STORE_CHANGES", str(file))
    now, listed = [0.0], []
    monkeypatch.setattr(inbox_trigger.time, "monotonic", lambda: now[0])

    def change(at):
        os.utime(file, ns=(at, at))

    def look(_):
        listed.append(now[0])
        if now[0] == 4.0:
            change(5)
        if now[0] == 12.0:
            raise StoreError("connection refused")
        return f"seen at {now[0]}", 0.004

    monkeypatch.setattr(inbox_trigger, "timed", look)
    listing, seen = inbox_trigger.Listing(), []
    for now[0] in range(0, 40, 2):
        if now[0] == 2.0:
            file.touch()
        if now[0] in (4.0, 12.0):
            change(int(now[0]))
        try:
            seen.append(asyncio.run(listing.latest()))
        except StoreError:
            seen.append(None)
    assert listed == [0.0, 2.0, 4.0, 6.0, 12.0, 14.0, 34.0]
    assert seen[4] == ("seen at 6", 0.0)
    assert seen[6] is None


def test_looking_makes_no_client_anew(bucket, monkeypatch):
    """A look costs some milliseconds of processor time, for the process keeps its client of the store."""
    import boto3

    made = []
    client = boto3.session.Session.client
    monkeypatch.setattr(boto3.session.Session, "client", lambda *args, **more: made.append(args) or client(*args, **more))
    bucket.put("inbox/a.csv", b"1")
    costs = [inbox_trigger.timed(inbox_trigger.waiting)[1] for _ in range(20)]
    assert len(made) <= 1
    assert sorted(costs)[10] < 0.02 * POLL_S


def test_outlives_the_store(watch, capsys):
    """While the store is away nothing fires and one line is logged; what was dropped meanwhile fires when it is back."""
    gone = [StoreError("connection refused")] * 5
    assert watch("a", *gone, "a", "b", "b") == [7, 9]
    assert capsys.readouterr().out.count("The inbox cannot be listed") == 1


def test_a_drop_fires_in_time():
    """In the worst case the event comes 6 s after the first file, which leaves 4 s for the run to start."""
    trigger = InboxTrigger()
    assert trigger.poll_s + trigger.patience_s <= 6.0


def test_is_made_again_from_its_description():
    """The triggerer makes the same watcher from what the database holds."""
    from airflow.sdk.module_loading import import_string

    path, arguments = InboxTrigger(poll_s=1.0, patience_s=3.0).serialize()
    again = import_string(path)(**arguments)
    assert type(again).__name__ == "InboxTrigger"
    assert again.serialize() == (path, arguments)


def test_airflow_finds_it():
    """Airflow puts plugins/ on the import path by itself, so every component can import the watcher."""
    program = "import airflow.settings, inbox_trigger; print(inbox_trigger.__file__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=900)
    assert done.stdout.strip().endswith(str(ROOT / "plugins" / "inbox_trigger.py")), done.stderr


def test_watches_the_bucket(bucket):
    """On a real listing: a drop fires once, what stays is silent, another file fires, an emptied inbox is silent."""

    async def next_event(events, *, within_s):
        return (await asyncio.wait_for(anext(events), within_s)).payload["inbox"]

    async def silent(events):
        with pytest.raises(TimeoutError):
            await next_event(events, within_s=0.5)

    async def run():
        events = InboxTrigger(poll_s=0.05, patience_s=1.0).run()
        inbox.put_files([("a.csv", b"1"), ("b.csv", b"2")])
        first = await next_event(events, within_s=300)
        inbox.put_files([("c.csv", b"3")])
        assert await next_event(events, within_s=300) != first
        await silent(events)
        bucket.delete_many(bucket.list_keys("inbox/"))
        await silent(InboxTrigger(poll_s=0.05, patience_s=1.0).run())

    asyncio.run(run())
