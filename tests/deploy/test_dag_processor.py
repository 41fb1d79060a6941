"""How often the embedded stack's dag-processor asks its database. Not here: reading DAG files, which is Airflow's (``end_to_end``)."""

import pytest
from airflow.dag_processing.manager import DagFileProcessorManager

from deploy.embedded import dag_processor


@pytest.fixture
def asked(monkeypatch):
    """What Airflow's own manager was asked for, and a clock."""
    now, asked = [0.0], []
    for name in ("claim_priority_files", "fetch_callbacks", "purge_inactive_dag_warnings"):
        monkeypatch.setattr(DagFileProcessorManager, name, lambda _self, name=name: asked.append((now[0], name)) or ["one"])
    monkeypatch.setattr(dag_processor.time, "monotonic", lambda: now[0])
    return now, asked


def test_it_asks_every_few_seconds(asked):
    """All that Airflow's own asks each second is asked in one round of five, and what is found is handed on."""
    now, all_asked = asked
    manager = dag_processor.Manager(max_runs=1)
    found = []
    for now[0] in (0.0, 1.0, 2.0, 4.9, 5.0, 6.0):
        found.append((manager.claim_priority_files(), manager.fetch_callbacks()))
        manager.purge_inactive_dag_warnings()
    nothing, something = ([], []), (["one"], ["one"])
    assert found == [something, nothing, nothing, nothing, something, nothing]
    names = ("claim_priority_files", "fetch_callbacks", "purge_inactive_dag_warnings")
    assert all_asked == [(at, name) for at in (0.0, 5.0) for name in names]


def test_airflow_runs_this_manager(monkeypatch):
    """Its command takes the manager from where it is put."""
    made = []
    monkeypatch.setattr(dag_processor.manager, "DagFileProcessorManager", DagFileProcessorManager)
    monkeypatch.setattr(dag_processor, "airflow", lambda: made.append(dag_processor.manager.DagFileProcessorManager))
    monkeypatch.setattr(dag_processor.sys, "argv", ["dag_processor"])
    dag_processor.main()
    assert made == [dag_processor.Manager]
    assert dag_processor.sys.argv == ["airflow", "dag-processor"]
