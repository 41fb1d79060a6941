"""What every DAG promises: its schedule, its form, its limits and its documentation."""

from datetime import timedelta
from pathlib import Path

import pendulum
import pytest
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable
from airflow.sdk.exceptions import ParamValidationError

ROOT = Path(__file__).parents[2]
DAG_IDS = [
    "backfill_version",
    "classify_records",
    "decide_champion",
    "ingest_records",
    "maintain_store",
    "render_spectrograms",
    "retrain_model",
]
DAG_TASKS = {
    "ingest_records": {"plan", "ingest_batch", "publish", "ask_for_the_rest"},
    "render_spectrograms": {"plan", "render_shard", "publish"},
    "classify_records": {"pin_champion", "plan", "classify_shard", "write_report"},
    "retrain_model": {"assemble_dataset", "train", "evaluate", "gate", "choose", "approval", "promote", "note_refusal", "ended"},
    "decide_champion": {"decide"},
    "backfill_version": {"pin_versions", "plan", "classify_shard", "write_difference"},
    "maintain_store": {"plan", "delete", "check_orphans", "check_contents", "publish", "fail_if_damaged"},
}
SPECIAL_POOLS = {"train": "gpu", "promote": "champion", "note_refusal": "champion", "decide": "champion", "delete": "champion"}
MAPPED = {"ingest_batch", "render_shard", "classify_shard"}


@pytest.fixture(params=DAG_IDS)
def dag(request, dags):
    """One DAG after the other."""
    return dags[request.param]


def test_every_dag_is_tested(dags):
    """No DAG is added without being named here, and each lives in a file of its own name."""
    assert sorted(dags) == DAG_IDS
    assert {path.stem for path in (ROOT / "dags").glob("*.py")} == {*DAG_IDS, "ecg_assets", "ecg_defaults"}
    assert all(Path(dag.fileloc).stem == dag_id for dag_id, dag in dags.items())


def test_tasks(dag):
    """The tasks are those of the design, mapped where the work is many shards."""
    assert set(dag.task_dict) == DAG_TASKS[dag.dag_id]
    assert {task_id for task_id, task in dag.task_dict.items() if task.is_mapped} == DAG_TASKS[dag.dag_id] & MAPPED


def test_one_run_at_a_time(dag):
    """The store gives no mutual exclusion, so a DAG never runs twice at once; missed runs are not made up for."""
    assert dag.max_active_runs == 1
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False


def test_time_limits_and_pools(dag):
    """Every run and every task ends at some time, and every task waits for a slot of a pool."""
    assert dag.dagrun_timeout <= timedelta(days=6)
    for task in dag.tasks:
        if task.task_id != "approval":
            assert task.execution_timeout is not None
        assert task.pool == SPECIAL_POOLS.get(task.task_id, "cpu")
        assert task.retries == 5
        assert task.retry_policy is not None


@pytest.mark.parametrize("topic", ["reads", "writes", "runs", "rerun", "when it fails"])
def test_documentation(dag, topic):
    """The UI shows what a DAG reads and writes, when it runs, that a rerun is safe and where to look when it fails."""
    assert f"\n* {topic}: " in dag.doc_md
    assert dag.tags == {"ecg"}


def test_schedules(dags):
    """Drops and the clock start the intake, records start the pictures, the nights belong to decisions, Sundays to training."""
    ingest = dags["ingest_records"].timetable
    assert isinstance(ingest, AssetOrTimeSchedule)
    assert ingest.timetable == CronTriggerTimetable("*/15 * * * *", timezone="UTC")
    assert [asset.name for asset in ingest.asset_condition.objects] == ["ecg_inbox"]
    assert [asset.name for asset in dags["render_spectrograms"].timetable.asset_condition.objects] == ["ecg_records"]
    assert dags["classify_records"].timetable.expression == "0 2 * * *"
    assert dags["retrain_model"].timetable.expression == "0 3 * * 0"
    assert dags["maintain_store"].timetable.expression == "0 4 * * 6"


def test_outlets(dags):
    """Only what is published tells the next DAG to start."""
    outlets = {(dag_id, task.task_id): [asset.name for asset in task.outlets] for dag_id, dag in dags.items() for task in dag.tasks}
    assert {where: names for where, names in outlets.items() if names} == {
        ("ingest_records", "publish"): ["ecg_records"],
        ("ingest_records", "ask_for_the_rest"): ["ecg_inbox"],
        ("render_spectrograms", "publish"): ["ecg_spectrograms"],
    }


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


def test_forms(dags):
    """The forms of the runs by hand have these fields and defaults, each with a title and an explanation."""
    forms = {dag_id: {name: dag.params[name] for name in dag.params} for dag_id, dag in dags.items() if dag.params}
    assert forms == {
        "classify_records": {"scope": "new", "details": 200},
        "retrain_model": {
            "recipe": "twelve_lead",
            "epochs": None,
            "members": None,
            "seed": 0,
            "approval": False,
            "credit": "",
            "policy": "better",
        },
        "decide_champion": {"recipe": "twelve_lead", "action": "promote", "version": "", "why": "", "override": "", "on_behalf_of": ""},
        "backfill_version": {"recipe": "twelve_lead", "version": "", "against": ""},
        "maintain_store": {
            "dry_run": True,
            "sample": 200,
            "reports_days": 0,
            "backfills_days": 0,
            "predictions_days": 180,
            "spectrograms_days": 90,
            "signatures_days": 90,
            "checkpoints_days": 30,
            "staging_days": 30,
            "quarantine_days": 0,
            "raw_days": 0,
        },
    }
    for dag_id in forms:
        for name in dags[dag_id].params:
            param = dags[dag_id].params.get_param(name)
            assert param.schema["title"]
            assert param.description


@pytest.mark.parametrize(
    ("dag_id", "name", "value"),
    [
        ("retrain_model", "recipe", "other"),
        ("retrain_model", "epochs", 0),
        ("retrain_model", "epochs", 201),
        ("retrain_model", "epochs", 1.5),
        ("retrain_model", "members", 0),
        ("retrain_model", "seed", -1),
        ("retrain_model", "approval", "yes"),
        ("retrain_model", "policy", "worse"),
        ("decide_champion", "action", "delete"),
        ("decide_champion", "version", "../x"),
        ("classify_records", "scope", "some"),
        ("classify_records", "details", -1),
        ("classify_records", "details", 10_001),
        ("backfill_version", "version", "../x"),
        ("maintain_store", "dry_run", "no"),
        ("maintain_store", "raw_days", 1),
        ("maintain_store", "staging_days", 6.9),
        ("maintain_store", "reports_days", -1),
    ],
)
def test_out_of_range_is_refused(dags, dag_id, name, value):
    """A value outside its bounds is refused when the run is asked for, not by a task."""
    with pytest.raises(ParamValidationError):
        dags[dag_id].params.get_param(name).resolve(value)


def test_recipes_of_the_form_exist(dags):
    """The form offers every recipe there is, and no other."""
    from ecg_tasks.signals.recipes import RECIPES

    for dag_id in ("retrain_model", "decide_champion"):
        assert sorted(dags[dag_id].params.get_param("recipe").schema["enum"]) == sorted(RECIPES)


def test_maintenance_asks_for_every_rule(dags):
    """The form has the prefixes that there are rules for, with the same lower bounds, so that no task has to refuse what it was given."""
    from ecg_tasks.steps.maintenance.maintaining import form
    from ecg_tasks.steps.maintenance.rules import RULES, checked_days

    params = dags["maintain_store"].params
    asked = form({name: str(params[name]) for name in params})
    assert asked["dry_run"] is True
    assert asked["days"].keys() == RULES.keys()
    assert checked_days(asked["days"]) == asked["days"]
    for name, rule in RULES.items():
        assert params.get_param(f"{name}_days").schema["anyOf"] == [{"const": 0}, {"minimum": rule.at_least}]
