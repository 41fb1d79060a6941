"""Here: starting runs by hand through Airflow's real API, with what its form sends. Not here: what tasks do with it (``test_branches``)."""

import pytest

from ecg_tasks.errors import ConfigurationError, NotEnoughDataError
from ecg_tasks.pipeline import retrain_model

# Airflow's API answers with fields that it calls deprecated itself
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")]

DAG_IDS = [
    *("backfill_version", "classify_records", "decide_champion", "forget_patient", "ingest_records"),
    *("maintain_store", "render_spectrograms", "retrain_model"),
]
NEEDED = {"decide_champion": {"why": "it misses too many"}, "backfill_version": {"version": "ab12"}, "forget_patient": {"request": "ab12"}}
"""What a person has to type in before a run can start."""
OTHER_FAULTS = {
    "retrain_model": NotEnoughDataError,
    "decide_champion": ConfigurationError,
    "backfill_version": ConfigurationError,
    "forget_patient": ConfigurationError,
}
"""Why a run fails in an empty bucket, where it does: there is nothing to learn from, and no version."""


@pytest.fixture
def form_of(api_of):
    """Function that gives the fields of a DAG's form as the API tells them to the form."""

    def form_of(dag_id):
        answer = api_of().get(f"/api/v2/dags/{dag_id}/details")
        assert answer.status_code == 200, answer.text
        return answer.json()["params"]

    return form_of


@pytest.fixture
def press(api_of, form_of):
    """Function that presses *Trigger*: every field is sent, with what was typed in or what the form began with."""

    def press(dag_id, typed=(), *, user="ada"):
        conf = {name: field["value"] for name, field in form_of(dag_id).items()} | dict(typed)
        answer = api_of(user).post(f"/api/v2/dags/{dag_id}/dagRuns", json={"logical_date": None, "conf": conf})
        return answer, conf

    return press


def _may_be_empty(field):
    """Whether Airflow's form lets a field be empty: its own rule, from its source."""
    kind = field["schema"].get("type")
    return not kind or (isinstance(kind, list) and "null" in kind)


def _fails_with(run_dag, monkeypatch, dag_id, conf):
    """Run a DAG in the bucket; returns its state and the first error of the library that a task raised."""
    raised = []
    from airflow.sdk.execution_time import task_runner

    original = task_runner._execute_task

    def watched(*args, **more):
        try:
            return original(*args, **more)
        except Exception as error:
            raised.append(error)
            raise

    monkeypatch.setattr(task_runner, "_execute_task", watched)
    run, _tasks = run_dag(dag_id, conf=conf)
    return run.state, raised[0] if raised else None


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_an_untouched_form_runs_or_names_what_is_missing(bucket, run_dag, monkeypatch, form_of, press, dag_id):  # noqa: PLR0917 - pytest passes by name
    """Pressing *Trigger* at once starts a run of the real tasks, or the form and the API name the field that must be filled in."""
    missing = [name for name, field in form_of(dag_id).items() if not _may_be_empty(field) and field["value"] in (None, "")]
    assert missing == list(NEEDED.get(dag_id, {}))
    answer, conf = press(dag_id)
    if missing:
        assert answer.status_code == 400
        assert f"param {missing[0]}" in answer.json()["detail"]
        answer, conf = press(dag_id, NEEDED[dag_id])
    assert answer.status_code == 200, answer.text
    state, error = _fails_with(run_dag, monkeypatch, dag_id, conf)
    fault = OTHER_FAULTS.get(dag_id)
    assert (state, type(error)) == ("failed", fault) if fault else ("success", type(None)), error


def test_a_field_may_be_empty_where_it_says_so(form_of, press):
    """What a field says of itself is how the API takes it: empty is accepted where the field says so, and refused by its name elsewhere."""
    said = 0
    for dag_id in DAG_IDS:
        for name, field in form_of(dag_id).items():
            assert field["schema"]["title"]
            assert field["description"]
            answer, _ = press(dag_id, NEEDED.get(dag_id, {}) | {name: None})
            if "empty" in field["description"].lower():
                said += 1
                assert _may_be_empty(field), f"{dag_id}: the form refuses an empty {name}"
                assert answer.status_code == 200, answer.text
            else:
                assert answer.status_code == 400, f"{dag_id}: {name} may be empty and does not say so"
                assert f"param {name}" in answer.json()["detail"]
    assert said == 7


@pytest.mark.parametrize(
    ("dag_id", "name", "value"),
    [
        ("retrain_model", "recipe", "other"),
        ("retrain_model", "epochs", 0),
        ("retrain_model", "epochs", 201),
        ("retrain_model", "epochs", 1.5),
        ("retrain_model", "ensemble_size", 0),
        ("retrain_model", "seed", -1),
        ("retrain_model", "approval", "yes"),
        ("retrain_model", "leave_one_site_out", "yes"),
        ("retrain_model", "policy", "worse"),
        ("decide_champion", "action", "delete"),
        ("decide_champion", "version", "../x"),
        ("decide_champion", "why", ""),
        ("decide_champion", "why", "  "),
        ("classify_records", "scope", "some"),
        ("classify_records", "details", -1),
        ("classify_records", "details", 10_001),
        ("backfill_version", "version", "../x"),
        ("backfill_version", "version", ""),
        ("maintain_store", "dry_run", "no"),
        ("maintain_store", "raw_days", 1),
        ("maintain_store", "staging_days", 6.9),
        ("maintain_store", "reports_days", -1),
    ],
)
def test_out_of_range_is_refused(press, dag_id, name, value):
    """A value outside its bounds is refused when the run is asked for, by the field's name, not by a task."""
    answer, _ = press(dag_id, NEEDED.get(dag_id, {}) | {name: value})
    assert answer.status_code == 400
    assert f"param {name}" in answer.json()["detail"]


@pytest.mark.parametrize("dag_id", DAG_IDS)
def test_an_unknown_field_is_refused(run_dag, monkeypatch, dag_id):
    """A key that is no field of the form, a misspelt one for instance, fails the first task at its first try, and nothing is done."""
    conf = NEEDED.get(dag_id, {}) | {"detials": 5}
    state, error = _fails_with(run_dag, monkeypatch, dag_id, conf)
    assert state == "failed"
    assert isinstance(error, ConfigurationError)
    assert f"{dag_id} has no field 'detials'" in str(error)


@pytest.mark.parametrize(
    ("conf", "expected"),
    [({"members": 3}, 3), ({"members": 3, "ensemble_size": None}, 3), ({"ensemble_size": 2}, 2), ({"members": None}, None)],
)
def test_a_fields_old_name_is_read(run_dag, monkeypatch, conf, expected):
    """A configuration that was written for version 0.1 says ``members``."""
    asked = []
    monkeypatch.setattr(retrain_model, "assemble_dataset", lambda *_args, **more: asked.append(more["ensemble_size"]) or "job")
    run_dag("retrain_model", conf=conf)
    assert asked == [expected]


@pytest.mark.parametrize(("conf", "expected"), [({}, False), ({"leave_one_site_out": True}, True)])
def test_no_site_is_left_out_unless_the_form_says_so(run_dag, monkeypatch, conf, expected):
    """The weekly run, which has no form, takes as long as it always did."""
    asked = []
    monkeypatch.setattr(retrain_model, "assemble_dataset", lambda *_args, **more: asked.append(more["leave_one_site_out"]) or "job")
    run_dag("retrain_model", conf=conf)
    assert asked == [expected]


@pytest.mark.parametrize(
    ("conf", "why"), [({"members": 0}, "minimum of 1"), ({"members": "two"}, "'two'"), ({"members": 3, "ensemble_size": 2}, "has both")]
)
def test_a_wrong_value_under_an_old_name_is_refused(run_dag, monkeypatch, conf, why):
    """It has the same bounds as under the new name, and a run that gives both names does nothing."""
    state, error = _fails_with(run_dag, monkeypatch, "retrain_model", conf)
    assert (state, type(error)) == ("failed", ConfigurationError)
    assert why in str(error)
    assert "members" in str(error)


def test_an_unknown_field_stops_every_task_after_it(run_dag, monkeypatch):
    """The first task is not tried again, and no later one runs."""
    called = []
    monkeypatch.setattr(retrain_model, "assemble_dataset", lambda *_args, **_more: called.append("assemble_dataset"))
    run, tasks = run_dag("retrain_model", conf={"epoch": 3})
    assert run.state == "failed"
    states = {task.task_id: (task.state, task.try_number) for task in tasks}
    assert states.pop("assemble_dataset") == ("failed", 1)
    assert {state for state, _ in states.values()} <= {"upstream_failed", "skipped"}
    assert called == []


def test_a_run_carries_the_name_that_signed_in(press):
    """Airflow notes the user of the token; a key of the configuration with another name changes nothing, and is refused by the task."""
    answer, _ = press("decide_champion", {"why": "it misses too many", "version": "ab12"}, user="grace")
    assert answer.json()["triggering_user_name"] == "grace"
    forged = {"why": "it misses too many", "on_behalf_of": "ada", "triggering_user_name": "ada"}
    answer, _ = press("decide_champion", forged, user="grace")
    assert answer.json()["triggering_user_name"] == "grace"
