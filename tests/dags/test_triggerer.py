"""The embedded stack's triggerer asks its database less often, and hands on what a trigger tells at once.

Not here: its process, which every stack of the tests has, and whose watcher starts their intakes (``tests/end_to_end``).
"""

import asyncio
from collections import deque

import pytest

from deploy.embedded import triggerer as mended
from deploy.embedded.triggerer import ASK_S, LOOK_S, Runner, Supervisor

AIRFLOWS_OWN = mended.triggerer_job_runner.TriggerRunnerSupervisor
SEEN = (1, 1, 1, 0)


@pytest.fixture
def rounds(monkeypatch):
    """Function that lets a supervisor go through its rounds, one a second; returns in which it asked, and in which it handed an event on.

    Only the process of the triggers and the database are not there: both are watched instead.
    """

    def run(n_rounds, *, event_in=None, glances=None):
        supervisor = object.__new__(Supervisor)
        supervisor.team_name = None
        supervisor.events, supervisor.failed_triggers, supervisor.persisted_event_seqs = deque(), deque(), deque()
        now = 1000
        seen = {"load": [], "clean": [], "event": []}

        def wait_for_a_second(_self, _seconds):
            nonlocal now
            now += 1
            if now - 1001 == event_in:
                supervisor.events.append(mended.triggerer_job_runner.TriggerEventEntry(trigger_id=7, event="told", persist_seq=None))

        def note(name):
            return lambda _self, **_event: seen[name].append(now - 1000 - (name != "load"))

        monkeypatch.setattr(mended.time, "monotonic", lambda: float(now))
        monkeypatch.setattr(mended.Glance, "answer", lambda _self: (glances or {}).get(now - 1000, SEEN))
        monkeypatch.setattr(AIRFLOWS_OWN, "load_triggers", note("load"))
        monkeypatch.setattr(AIRFLOWS_OWN, "clean_unused", note("clean"))
        monkeypatch.setattr(AIRFLOWS_OWN, "on_trigger_event", note("event"))
        monkeypatch.setattr(AIRFLOWS_OWN, "_service_subprocess", wait_for_a_second)
        for name in ("heartbeat", "emit_metrics"):
            monkeypatch.setattr(AIRFLOWS_OWN, name, lambda _self: None)
        monkeypatch.setattr(mended.triggerer_job_runner.stats, "incr", lambda *_, **__: None)
        for _ in range(n_rounds):
            supervisor.run_once()
        return seen

    return run


def test_it_looks_for_triggers_when_a_glance_sees_something_new(rounds):
    """Airflow's own asks in every round. A database that does not answer is asked by Airflow's own questions, whose error is its own."""
    seen = rounds(70, glances={5: (2, 2, 1, 0), 20: ()})
    assert seen["load"] == seen["clean"] == [0, 5, 6, 20, 21, 51]
    assert LOOK_S == 30


@pytest.mark.parametrize("number", [0, 1, 2, 3, 6])
def test_an_event_is_handed_on_in_the_round_in_which_it_comes(rounds, number):
    """Between two looks, too."""
    assert rounds(8, event_in=number)["event"] == [number]


def test_it_waits_for_the_other_process_but_not_at_its_end(monkeypatch):
    """That one tells something every three seconds, which ends the wait; at the end Airflow says how long to wait."""
    waits = []
    monkeypatch.setattr(AIRFLOWS_OWN, "_service_subprocess", lambda _self, seconds, **_more: waits.append(seconds))
    supervisor = object.__new__(Supervisor)
    supervisor._service_subprocess(1)
    supervisor._service_subprocess(max_wait_time=1, raise_on_timeout=True, expect_signal=15)
    assert waits == [2 * ASK_S, 1]


@pytest.fixture
def runner(monkeypatch):
    """Function that lets the process of the triggers go through rounds, one a second; returns in which it spoke with its supervisor."""
    now, spoke = [0.0], []

    async def speak(_self, finished):
        spoke.append((now[0], finished))

    monkeypatch.setattr(mended.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(mended.triggerer_job_runner.TriggerRunner, "sync_state_to_supervisor", speak)

    def run(finished):
        one = object.__new__(Runner)
        one.events, one.failed_triggers = deque(), deque()
        for now[0] in range(8):
            asyncio.run(one.sync_state_to_supervisor(finished.get(now[0], [])))
        return spoke

    return run


def test_the_process_of_the_triggers_speaks_when_it_has_something_to_say(runner):
    """Else every three seconds, so that a supervisor that hears nothing for long knows that it hangs."""
    assert runner({1: [7], 5: [8]}) == [(0, []), (1, [7]), (4, []), (5, [8])]
    assert mended.triggerer_job_runner.TriggerRunnerSupervisor.runner_health_check_threshold >= 5 * ASK_S


@pytest.mark.parametrize(("blocked_s", "n_words"), [(0.1, 0), (0.9, 1)])
def test_a_trigger_that_holds_up_the_others_is_reported(monkeypatch, blocked_s, n_words):
    """The loop of all triggers came so much too late to the end of a second."""
    now, said = [0.0], []

    class Log:
        async def awarning(self, sentence, **more):
            said.append((sentence, more))

    one = object.__new__(Runner)
    one.log, one.blocked_main_thread_warning_threshold = Log(), 0.2

    async def sleep(seconds):
        now[0] += seconds + blocked_s
        one.stop = True

    monkeypatch.setattr(mended.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(mended.asyncio, "sleep", sleep)
    asyncio.run(one.block_watchdog())
    assert said == n_words * [("a trigger has held up all others", {"seconds": blocked_s})]


def test_it_is_airflows_triggerer_in_all_else(monkeypatch):
    """Its process is Airflow's command with the same arguments, whose supervisor is this one, which forks this process of triggers."""
    called, ran, runner = [], [], mended.triggerer_job_runner
    monkeypatch.setattr(mended, "airflow", lambda: called.append((list(mended.sys.argv), runner.TriggerRunnerSupervisor)))
    monkeypatch.setattr(runner, "TriggerRunnerSupervisor", AIRFLOWS_OWN)
    monkeypatch.setattr(mended.sys, "argv", ["deploy.embedded.triggerer", "--skip-serve-logs"])
    mended.main()
    assert called == [(["airflow", "triggerer", "--skip-serve-logs"], Supervisor)]
    monkeypatch.setattr(Runner, "__init__", lambda _self: None)
    monkeypatch.setattr(runner.TriggerRunner, "run", lambda self: ran.append(type(self)))
    Supervisor.run_in_process()
    assert ran == [Runner]
