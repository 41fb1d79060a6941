"""Here: what every DAG promises: when it runs, its limits and its documentation. Not here: its form (``test_trigger``)."""

import itertools
import json
from datetime import timedelta
from pathlib import Path

import pendulum
import pytest
import run_note
import yaml

from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import waiting
from ecg_tasks.queries import dag_runs
from tests.dags.conftest import read

ROOT = Path(__file__).parents[2]
DAG_IDS = [
    "backfill_version",
    "classify_records",
    "decide_champion",
    "forget_patient",
    "ingest_records",
    "maintain_store",
    "render_spectrograms",
    "retrain_model",
]


CHANGING = {"promote", "note_refusal", "decide", "delete"}
"""Tasks that choose which version serves, or delete versions' files."""


@pytest.fixture(params=DAG_IDS)
def dag(request, dags):
    """One DAG after the other."""
    return dags[request.param]


def test_every_dag_is_tested(dags):
    """No DAG is added without being named here, and each lives in a file of its own name."""
    assert sorted(dags) == DAG_IDS
    assert {path.stem for path in (ROOT / "dags").glob("*.py")} == {*DAG_IDS, "ecg_approval", "ecg_assets", "ecg_defaults"}
    assert all(Path(dag.fileloc).stem == dag_id for dag_id, dag in dags.items())


def test_one_run_at_a_time(dag):
    """The store gives no mutual exclusion, so a DAG never runs twice at once; missed runs are not made up for."""
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False


def test_every_task_ends_and_waits_for_a_slot(dag):
    """Every run and every task ends at some time, and every task takes a slot of a pool that the installation makes."""
    pools = json.loads((ROOT / "deploy" / "pools.json").read_text())
    assert dag.dagrun_timeout is not None
    for task in dag.tasks:
        waits_for_a_person = task.task_id == "approval"  # its answer has a deadline (`test_branches`)
        assert waits_for_a_person or task.execution_timeout < dag.dagrun_timeout
        assert pools[task.pool]["slots"] >= 1


def test_every_queue_has_workers(dags):
    """Whatever queue a task waits in, the workers of Compose and of Kubernetes serve it, and KEDA counts it."""
    queues = {task.queue for dag in dags.values() for task in dag.tasks}
    assert queues == {"default", "night", "gpu"}
    compose, kubernetes = (yaml.safe_load((ROOT / name).read_text()) for name in ("docker-compose.yaml", "deploy/kubernetes/values.yaml"))
    served = compose["services"]["worker"]["command"][4]
    assert served == "${ECG_WORKER_QUEUES:-default,gpu},night"  # an older .env names no other than the two
    worker = kubernetes["workers"]["celery"]
    assert worker["args"][-1].endswith("--queues default,night")
    assert "queue IN ('default', 'night')" in worker["keda"]["query"]


def test_what_changes_the_champion_runs_alone(dags):
    """The tasks of all DAGs that choose a version, or delete what no version needs, share one slot."""
    pools = json.loads((ROOT / "deploy" / "pools.json").read_text())
    changing = {task.task_id: task.pool for dag in dags.values() for task in dag.tasks if task.task_id in CHANGING}
    assert changing.keys() == CHANGING
    (pool,) = set(changing.values())
    assert pools[pool]["slots"] == 1


@pytest.mark.parametrize("topic", ["reads", "writes", "runs", "rerun", "when it fails"])
def test_documentation(dag, topic):
    """The UI shows what a DAG reads and writes, when it runs, that a rerun is safe and where to look when it fails."""
    assert f"\n* {topic}: " in dag.doc_md
    assert dag.tags == {"ecg"}


def _runs_after(dag, moment, n=3):
    """When the clock starts a DAG after a moment, as the scheduler computes it."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import DataInterval, TimeRestriction

    timetable = coerce_to_core_timetable(dag.timetable)
    found, last = [], DataInterval.exact(moment)
    for _ in range(n):
        info = timetable.next_dagrun_info(
            last_automated_data_interval=last, restriction=TimeRestriction(earliest=None, latest=None, catchup=True)
        )
        found.append(info.run_after)
        last = info.data_interval
    return found


def test_the_clock_starts_what_readme_and_notes_promise(dags):
    """After a Friday noon: an intake within 15 minutes, a report each night, maintenance on Saturday before the training on Sunday."""
    noon = pendulum.datetime(2026, 3, 6, 12, tz="UTC")  # a Friday
    intakes = _runs_after(dags["ingest_records"], noon)
    assert all(later - earlier <= timedelta(minutes=15) for earlier, later in itertools.pairwise([noon, *intakes]))
    nights = _runs_after(dags["classify_records"], noon)
    assert [night.date() - noon.date() for night in nights] == [timedelta(days=1), timedelta(days=2), timedelta(days=3)]
    (maintenance, *_), (training, *_) = (_runs_after(dags[name], noon) for name in ("maintain_store", "retrain_model"))
    assert (maintenance.day_of_week, training.day_of_week) == (pendulum.SATURDAY, pendulum.SUNDAY)
    for dag_id, when in (("classify_records", nights[0]), ("maintain_store", maintenance), ("retrain_model", training)):
        assert f"{when:%H:%M} UTC" in dags[dag_id].doc_md


def test_what_is_published_starts_the_next_dag(run_dag, known_dags, monkeypatch):
    """An intake that took something over queues the DAG that draws, one that left some queues the next intake; a drop queues one."""
    tried = []
    monkeypatch.setattr(dag_runs, "headline", lambda _dag, _run: "a sentence")
    monkeypatch.setattr(ingest_records, "ingest_batch", lambda _job, *, tried_before: tried.append(tried_before) or "result")
    monkeypatch.setattr(ingest_records, "publish", lambda *_args: "manifest")
    assert _queued_by("ecg_inbox") == {"ingest_records"}
    for planned, rest, queued in ([], "", set()), (["job"], "", {"render_spectrograms"}), ([], "7 are left", {"ingest_records"}):
        _forget_queued()
        monkeypatch.setattr(ingest_records, "plan", lambda _run_id, planned=planned: planned)
        monkeypatch.setattr(waiting, "rest", lambda _run_id, rest=rest: rest)
        run, _ = run_dag("ingest_records")
        assert run.state == "success"
        assert _queued() == queued
    assert tried == [False]  # by the first and only try of the one job


def test_pictures_start_a_decision_where_that_is_set(dags, monkeypatch):
    """By default the night and people decide; at once, what was drawn does too, and the night as before."""
    from airflow.serialization.encoders import coerce_to_core_timetable

    assert dags["classify_records"].timetable.__class__.__name__ == "CronTriggerTimetable"
    monkeypatch.setenv("ECG_DECIDE", "at_once")
    timetable = coerce_to_core_timetable(read("classify_records.py").dags["classify_records"].timetable)
    assert [asset.name for _, asset in timetable.asset_condition.iter_assets()] == ["ecg_spectrograms"]
    assert timetable.summary == "Asset or 0 2 * * *"


@pytest.fixture
def at_once(known_dags, parsed_bag, monkeypatch):
    """Airflow's database knows ``classify_records`` as it is where every drop is decided on; afterwards as before."""
    from airflow.dag_processing.dagbag import sync_bag_to_db
    from airflow.models.dag_version import DagVersion
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    monkeypatch.setenv("ECG_DECIDE", "at_once")
    monkeypatch.setenv("AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL", "0")  # else it stays as it was written a moment ago
    with create_session() as session:
        known = session.scalars(select(DagVersion.id)).all()
    sync_bag_to_db(read("classify_records.py"), "dags-folder", None)
    yield
    _forget_queued()
    with create_session() as session:  # a second version would stand beside the first one in the tests that follow
        session.execute(delete(DagVersion).where(DagVersion.id.not_in(known)))
    sync_bag_to_db(parsed_bag, "dags-folder", None)


def test_a_drop_that_comes_during_a_run_starts_another_one_after_it(at_once):
    """Airflow keeps the event while a run is at work, makes no second run beside it, and makes one when it has ended."""
    from airflow.models.dagrun import DagRun
    from airflow.utils.session import create_session
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunType
    from sqlalchemy import delete, update

    assert _queued_by("ecg_spectrograms") == {"classify_records"}
    assert _starts() == {"classify_records"}
    at_work = DagRun(dag_id="classify_records", run_id="at_work", run_type=DagRunType.MANUAL, state=DagRunState.RUNNING)
    at_work.run_after = pendulum.now("UTC")
    with create_session() as session:
        session.add(at_work)
    try:
        assert _starts() == set()
        assert _queued() == {"classify_records"}
        with create_session() as session:
            session.execute(update(DagRun).where(DagRun.run_id == "at_work").values(state=DagRunState.SUCCESS))
        assert _starts() == {"classify_records"}
    finally:
        with create_session() as session:
            session.execute(delete(DagRun).where(DagRun.run_id == "at_work"))


def _starts():
    """DAGs of which the scheduler would make a run now, for what was published."""
    from airflow.models.dag import DagModel
    from airflow.utils.session import create_session

    with create_session() as session:
        return set(DagModel.dags_needing_dagruns(session)[1])


def _queued_by(asset):
    """DAGs that an event of an asset queues, as the scheduler is told of a drop."""
    from airflow.assets.manager import asset_manager
    from airflow.models.asset import AssetModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    _forget_queued()
    with create_session() as session:
        model = session.scalar(select(AssetModel).where(AssetModel.name == asset))
        asset_manager.register_asset_change(asset=model, session=session)
    return _queued()


def _queued():
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        return set(session.scalars(select(AssetDagRunQueue.target_dag_id)))


def _forget_queued():
    from airflow.models.asset import AssetDagRunQueue
    from airflow.utils.session import create_session
    from sqlalchemy import delete

    with create_session() as session:
        session.execute(delete(AssetDagRunQueue))


def test_nothing_runs_on_a_fresh_bucket_at_once(dags):
    """A fresh installation neither reports on nor trains from an empty bucket at once: the first run is the next one due."""
    from airflow.serialization.encoders import coerce_to_core_timetable
    from airflow.timetables.base import TimeRestriction

    for dag_id in ("classify_records", "retrain_model", "maintain_store"):
        dag = dags[dag_id]
        assert dag.start_date is None
        timetable = coerce_to_core_timetable(dag.timetable)
        first = timetable.next_dagrun_info(
            last_automated_data_interval=None, restriction=TimeRestriction(earliest=None, latest=None, catchup=False)
        )
        assert first.run_after > pendulum.now("UTC").subtract(minutes=5)


def test_every_dag_tells_what_it_did_in_the_note_of_its_runs(dags):
    """The scheduler looks for the sentence at tasks that there are."""
    assert sorted(run_note.TELLING) == DAG_IDS
    assert all(set(tasks) <= set(dags[dag_id].task_dict) for dag_id, tasks in run_note.TELLING.items())


def test_recipes_of_the_form_exist(dags):
    """The form offers every recipe there is, and no other."""
    from ecg_tasks.signals.recipes import RECIPES

    for dag_id in ("retrain_model", "decide_champion"):
        assert sorted(dags[dag_id].params.get_param("recipe").schema["enum"]) == sorted(RECIPES)


def test_maintenance_asks_for_every_rule(dags):
    """The form has the prefixes that there are rules for, with the same lower bounds, so that no task has to refuse what it was given."""
    from ecg_tasks.pipeline.maintain_store import form
    from ecg_tasks.pipeline.maintenance.rules import RULES, checked_days

    params = dags["maintain_store"].params
    asked = form({name: str(params[name]) for name in params})
    assert asked["dry_run"] is True
    assert asked["days"].keys() == RULES.keys()
    assert checked_days(asked["days"]) == asked["days"]
    for name, rule in RULES.items():
        assert params.get_param(f"{name}_days").schema["anyOf"] == [{"const": 0}, {"minimum": rule.at_least}]
