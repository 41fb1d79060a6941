"""How often the embedded stack's dag-processor looks. Not here: reading DAG files, which is Airflow's (``end_to_end``)."""

import pytest
from airflow.dag_processing.manager import DagFileProcessorManager

from deploy.embedded import dag_processor

NAMES = ("claim_priority_files", "fetch_callbacks", "purge_inactive_dag_warnings")


@pytest.fixture
def manager(monkeypatch):
    """A manager, what its glances see, one after the other, and what Airflow's own was asked for."""
    seen, asked = [], []
    for name in NAMES:
        monkeypatch.setattr(DagFileProcessorManager, name, lambda _self, name=name: asked.append(name) or ["one"])
    monkeypatch.setattr(dag_processor.Glance, "answer", lambda _self: seen.pop(0))
    return dag_processor.Manager(max_runs=1), seen, asked


@pytest.mark.parametrize(
    ("seen", "wanted"),
    [
        pytest.param((False, False, False), [], id="nothing waits"),
        pytest.param((True, False, False), NAMES[:1], id="a file is to be read again"),
        pytest.param((False, True, False), NAMES[1:2], id="a notice is to be sent"),
        pytest.param((False, False, True), NAMES[2:], id="there is a warning"),
        pytest.param((), NAMES, id="the database does not answer, which Airflow reports"),
    ],
)
def test_it_asks_only_for_what_waits(manager, seen, wanted):
    """One glance in each round; what is found is handed on."""
    manager, all_seen, asked = manager
    all_seen.append(seen)
    found = [manager.claim_priority_files(), manager.fetch_callbacks()]
    manager.purge_inactive_dag_warnings()
    assert asked == list(wanted)
    assert found == [["one"] if name in wanted else [] for name in NAMES[:2]]


def test_it_goes_round_every_few_seconds_while_it_reads_nothing(manager, monkeypatch):
    """While it reads files, or will, it looks as often as Airflow's own."""
    waits = []
    monkeypatch.setattr(DagFileProcessorManager, "_service_processor_sockets", lambda _self, timeout: waits.append(timeout))
    manager, *_ = manager
    manager._service_processor_sockets(timeout=0.7)
    for busy in (manager._processors, manager._file_queue):
        busy["one"] = None
        manager._service_processor_sockets(timeout=0.7)
        busy.clear()
    assert waits == [dag_processor.LOOK_S, 0.7, 0.7]


def test_airflow_runs_this_manager(monkeypatch):
    """Its command takes the manager from where it is put."""
    made = []
    monkeypatch.setattr(dag_processor.manager, "DagFileProcessorManager", DagFileProcessorManager)
    monkeypatch.setattr(dag_processor, "airflow", lambda: made.append(dag_processor.manager.DagFileProcessorManager))
    monkeypatch.setattr(dag_processor.sys, "argv", ["dag_processor"])
    dag_processor.main()
    assert made == [dag_processor.Manager]
    assert dag_processor.sys.argv == ["airflow", "dag-processor"]
