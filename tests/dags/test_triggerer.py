"""The embedded stack's triggerer asks its database less often, and hands on what a trigger tells at once.

Not here: its process, which every stack of the tests has, and whose watcher starts their intakes (``tests/end_to_end``).
"""

from collections import deque

import pytest

from deploy.embedded import triggerer as mended
from deploy.embedded.triggerer import LOOK_S, Supervisor

AIRFLOWS_OWN = mended.triggerer_job_runner.TriggerRunnerSupervisor


@pytest.fixture
def rounds(monkeypatch):
    """Function that lets a supervisor go through its rounds, one a second; returns in which it asked, and in which it handed an event on.

    Only the process of the triggers and the database are not there: both are watched instead.
    """

    def run(n_rounds, *, event_in):
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


def test_a_new_trigger_begins_six_seconds_later_at_most(rounds):
    """Airflow's own asks in every round."""
    seen = rounds(14, event_in=6)
    assert seen["load"] == seen["clean"] == [0, 6, 12]
    assert LOOK_S == 6


@pytest.mark.parametrize("number", [0, 1, 2, 3, 6])
def test_an_event_is_handed_on_in_the_round_in_which_it_comes(rounds, number):
    """Between two looks, too."""
    assert rounds(8, event_in=number)["event"] == [number]


def test_it_is_airflows_triggerer_in_all_else(monkeypatch):
    """Its process is Airflow's command with the same arguments, whose supervisor is this one."""
    called, runner = [], mended.triggerer_job_runner
    monkeypatch.setattr(mended, "airflow", lambda: called.append((list(mended.sys.argv), runner.TriggerRunnerSupervisor)))
    monkeypatch.setattr(runner, "TriggerRunnerSupervisor", AIRFLOWS_OWN)
    monkeypatch.setattr(mended.sys, "argv", ["deploy.embedded.triggerer", "--skip-serve-logs"])
    mended.main()
    assert called == [(["airflow", "triggerer", "--skip-serve-logs"], Supervisor)]
