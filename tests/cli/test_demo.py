"""Here: which runs the demonstration waits for. Not here: the demonstration itself (``tests/end_to_end``)."""

import pytest
import typer

from ecg_tasks.cli import demo, runs

DAG = "ingest_records"


class _Airflow:
    """Runs that come by themselves at given looks at the list, each of which takes some files over; and those started by hand."""

    def __init__(self, inbox: set[str], *, comes: dict[int, set[str]], state: str = "success") -> None:
        self.inbox = inbox
        self.comes = comes
        self.state = state
        self.found: dict[str, str] = {"earlier": "success"}
        self.by_hand: list[str] = []
        self._looks = 0

    def runs(self, dag: str) -> dict[str, str]:
        """The newest first, as Airflow gives them."""
        assert dag == DAG
        self._looks += 1
        if self._looks in self.comes:
            self.found = {f"own {self._looks}": "queued"} | self.found
            self.inbox -= self.comes[self._looks]
        return dict(self.found)

    def trigger(self, dag: str) -> str:
        """A run by hand takes nothing more than the others."""
        assert dag == DAG
        self.by_hand.append(f"by hand {len(self.by_hand)}")
        self.found = {self.by_hand[-1]: "queued"} | self.found
        return self.by_hand[-1]

    def run_state(self, _dag: str, run: str) -> str:
        """Ends at once."""
        self.found[run] = self.state
        return self.state

    def task_states(self, _dag: str, _run: str) -> list[tuple[str, str]]:
        """Of no interest."""
        return []


def followed(airflow: _Airflow) -> list[str]:
    """Follow with what the demonstration uses, and return the runs that it waited for."""
    with runs.progress() as bars:
        demo.follow_own_runs(airflow, DAG, bars, known={"earlier"}, done=lambda: not airflow.inbox)
    return [run for run, state in airflow.found.items() if state == "success" and run != "earlier"]


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Nothing is really waited for."""
    monkeypatch.setattr(demo, "_WATCHER_S", 0.7)


def test_a_drop_that_two_intakes_share_is_followed_to_its_end():
    """The second run comes only after the first has ended; both are waited for, and none is started by hand."""
    airflow = _Airflow({"a", "b"}, comes={1: {"a"}, 3: {"b"}})
    assert followed(airflow) == ["own 3", "own 1"]
    assert airflow.by_hand == []


def test_a_run_is_started_by_hand_if_none_comes():
    """Watchers only save time."""
    airflow = _Airflow(set(), comes={})
    assert followed(airflow) == ["by hand 0"]


def test_what_waits_for_other_files_is_not_waited_for():
    """A run by hand has seen everything: what it leaves may lie in the inbox for an hour."""
    airflow = _Airflow({"a", "half a recording"}, comes={1: {"a"}})
    assert followed(airflow) == ["by hand 0", "own 1"]


def test_a_failed_intake_ends_the_demonstration():
    """It makes no report of a part of the drop."""
    airflow = _Airflow({"a"}, comes={1: {"a"}}, state="failed")
    with pytest.raises(typer.Exit):
        followed(airflow)
