"""What is tried again and what is not, decided by a real run of a task."""

from datetime import timedelta

import airflow.sdk
import pytest
from ecg_defaults import TASK_DEFAULTS

from ecg_tasks import errors
from ecg_tasks.errors import BadInputError, ForgettingError, MissingObjectError, NotEnoughDataError, Reason, StoreError
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import waiting
from ecg_tasks.queries import dag_runs

if not hasattr(airflow.sdk, "RetryAction"):
    pytest.skip("Airflow 3.2 has no retry policies", allow_module_level=True)

from airflow.sdk import RetryAction
from airflow.sdk.definitions.retry_policy import RetryPolicy

pytestmark = pytest.mark.slow

RETRIED = {StoreError, MissingObjectError, ForgettingError}
BAD_INPUT = BadInputError(Reason.FLAT, "lead II is flat")


def _subclasses(kind):
    return {error for error in vars(errors).values() if isinstance(error, type) and issubclass(error, kind) and error is not kind}


@pytest.mark.parametrize("error", sorted(_subclasses(errors.EcgError), key=lambda error: error.__name__))
def test_every_error_is_decided(error):
    """Of the library's errors only those of the store are tried again, and those of a moment in which something is forgotten."""
    instance = BAD_INPUT if error is BadInputError else error("the message")
    action = TASK_DEFAULTS["retry_policy"].evaluate(instance, try_number=1, max_tries=5).action
    assert action is (RetryAction.DEFAULT if error in RETRIED else RetryAction.FAIL)


def test_backoff_outlives_a_short_outage():
    """The waits grow, and together outlast five minutes without the store."""
    first, factor = TASK_DEFAULTS["retry_delay"], TASK_DEFAULTS["retry_exponential_backoff"]
    waits = [min(first * factor**number, TASK_DEFAULTS["max_retry_delay"]) for number in range(TASK_DEFAULTS["retries"])]
    assert waits == sorted(waits)
    assert sum(waits, timedelta()) > timedelta(minutes=5)
    assert isinstance(TASK_DEFAULTS["retry_policy"], RetryPolicy)


@pytest.fixture
def quick_retries(dags, monkeypatch):
    """Retries of the plan of `ingest_records` after the shortest wait there is."""
    plan = dags["ingest_records"].task_dict["plan"]
    monkeypatch.setattr(plan, "retry_delay", timedelta(seconds=0))
    monkeypatch.setattr(plan, "max_retry_delay", timedelta(seconds=0.1))


@pytest.mark.usefixtures("quick_retries")
def test_store_errors_are_retried(run_dag, monkeypatch):
    """A store that is away twice fails no run: the third try goes through."""
    outcomes = [StoreError("gone"), StoreError("gone"), []]

    def plan(_run_id):
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    monkeypatch.setattr(ingest_records, "plan", plan)
    monkeypatch.setattr(waiting, "rest", lambda _: "")
    monkeypatch.setattr(dag_runs, "headline", lambda *_: "nothing was there")
    run, tasks = run_dag("ingest_records")
    assert run.state == "success"
    assert {task.task_id: (task.state, task.try_number) for task in tasks}["plan"] == ("success", 3)


@pytest.mark.usefixtures("quick_retries")
@pytest.mark.parametrize("error", [BAD_INPUT, NotEnoughDataError("3 patients")], ids=lambda error: type(error).__name__)
def test_bad_data_is_not_retried(run_dag, monkeypatch, error):
    """What the data is to blame for fails the task at its first try."""
    calls = []

    def plan(run_id):
        calls.append(run_id)
        raise error

    monkeypatch.setattr(ingest_records, "plan", plan)
    run, tasks = run_dag("ingest_records")
    assert run.state == "failed"
    assert {task.task_id: (task.state, task.try_number) for task in tasks}["plan"] == ("failed", 1)
    assert calls == [run.run_id]
