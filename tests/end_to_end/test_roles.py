"""What people can do to the model that serves, over Airflow's REST API and its real scheduler: operators nothing, admins in the open.

An operator edits XComs and clears or marks tasks of runs, of a training's too; deciding is an administrator's.
"""

import time
from contextlib import ExitStack, closing

import httpx
import pytest

from ecg_tasks.archive import audit, keys, registry
from ecg_tasks.cli.demo import RETRAINING

pytestmark = [pytest.mark.stack, pytest.mark.chain("demo"), pytest.mark.timeout(3600)]
FIRST = "cccc00000001"
RECIPE = RETRAINING["recipe"]
RUN = "roles"
ENDED = {"success", "failed"}
FORGED = {
    "chosen_options": ["Approve"],
    "params_input": {"why": "forged"},
    "responded_by_user": {"id": "admin", "name": "admin"},
    "timedout": False,
}
"""What Airflow's own operator puts into the XCom of a question that an administrator said yes to."""


class Person:
    """Somebody who has logged in, at Airflow's REST API, as far as one run of one DAG goes."""

    def __init__(self, stack, name, password, *, dag, run):
        answer = httpx.post(f"{stack.ui}/auth/token", json={"username": name, "password": password}, timeout=60, trust_env=False)
        answer.raise_for_status()
        token = answer.json()["access_token"]
        self._client = httpx.Client(
            base_url=f"{stack.ui}/api/v2/dags/{dag}", headers={"authorization": f"Bearer {token}"}, timeout=60, trust_env=False
        )
        self._run = run

    def close(self):
        """End the connection."""
        self._client.close()

    def _ask(self, method, path, **more):
        answer = self._client.request(method, path, **more)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def refused(self, method, path, **more):
        """Whether a request gets no further than to the question of rights."""
        return self._client.request(method, path.format(run=self._run), **more).status_code == 403

    def trigger(self, **conf):
        """Start the run, under its name."""
        self._ask("POST", "/dagRuns", json={"dag_run_id": self._run, "logical_date": None, "conf": conf})

    def state(self, task=None):
        """State of the run, or of one of its tasks; None before it has one."""
        return self._ask("GET", f"/dagRuns/{self._run}" + (f"/taskInstances/{task}" if task else ""))["state"]

    def tries(self, task):
        """How often a task ran."""
        return self._ask("GET", f"/dagRuns/{self._run}/taskInstances/{task}")["try_number"]

    def write_xcom(self, task, key, value):
        """Edit the value that a task returned, or make one up."""
        entries = f"/dagRuns/{self._run}/taskInstances/{task}/xcomEntries"
        there = {entry["key"] for entry in self._ask("GET", entries)["xcom_entries"]}
        if key in there:
            self._ask("PATCH", f"{entries}/{key}", json={"value": value})
        else:
            self._ask("POST", entries, json={"key": key, "value": value})

    def mark(self, task):
        """Mark a task as a success."""
        self._ask("PATCH", f"/dagRuns/{self._run}/taskInstances/{task}", json={"new_state": "success"})

    def mark_run(self):
        """Mark the run as a success."""
        self._ask("PATCH", f"/dagRuns/{self._run}", json={"state": "success"})

    def clear(self, task, *, downstream=False):
        """Let a task run again, and what comes after it where that is asked for."""
        body = {"dag_run_id": self._run, "task_ids": [task], "dry_run": False, "only_failed": False, "include_downstream": downstream}
        self._ask("POST", "/clearTaskInstances", json=body)

    def approve(self, why):
        """Say yes to the question of the task ``approval``, with a reason, after a moment of thought.

        Of an answer within the second in which Airflow asks, its scheduler may think that the task broke, and ask again much later.
        """
        time.sleep(5)
        answer = {"chosen_options": ["Approve"], "params_input": {"why": why}}
        self._ask("PATCH", f"/dagRuns/{self._run}/taskInstances/approval/-1/hitlDetails", json=answer)


@pytest.fixture(scope="module")
def bucket(demo, stack, ecg, objects, todays_version):
    """The demonstration's bucket; a version serves that knows nothing of its recordings."""
    if not stack.is_up():
        ecg("up")
    with objects() as store:
        registry.write_version(store, RECIPE, FIRST, todays_version(RECIPE, FIRST))
        registry.write_champion(store, recipe=RECIPE, version=FIRST, since="2026-01-01T00:00:00+00:00", who="test", why="the first one")
        yield store


@pytest.fixture(scope="module")
def people(stack, account):
    """Maker of somebody with an account, as the command makes it, for one run of a DAG."""
    with ExitStack() as connections:

        def make(name, role, *, dag="retrain_model", run=RUN):
            return connections.enter_context(closing(Person(stack, name, account(name, role), dag=dag, run=run)))

        yield make


@pytest.fixture(scope="module")
def before(bucket, data):
    """The data in the bucket before the run."""
    return data(bucket)


@pytest.fixture(scope="module")
def asked(before, people, wait_until):
    """A run whose candidate passed the gate and waits for a person's approval."""
    olga = people("olga", "operator")
    olga.trigger(**RETRAINING, approval=True)
    wait_until(lambda: olga.state("approval") == "awaiting_input" or olga.state() in ENDED, "the question")
    assert olga.state("approval") == "awaiting_input"
    return olga


def acts(bucket):
    """What the log has on the recipe's versions."""
    return [entry for _, entry in audit.entries(bucket) if entry.subject.startswith(f"{RECIPE}/")]


@pytest.fixture
def nothing_changes(bucket):
    """Checked after the test: the same version serves, by the same decision, and the log has no entry that it had not before."""
    before = registry.read_decisions(bucket, RECIPE), acts(bucket)
    yield
    assert (registry.read_decisions(bucket, RECIPE), acts(bucket)) == before
    assert before[0].version == FIRST


def test_the_same_training_again_changes_nothing(asked, before, bucket, data, nothing_changes):
    """It names the version that the demonstration trained: that is judged anew, against another champion, and nothing else is written."""
    after = data(bucket)
    (judged,) = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    version, name = judged.removeprefix(keys.models_of(RECIPE)).split("/")
    assert name == registry.VERDICT
    assert version != FIRST


def test_a_question_marked_as_answered_promotes_nothing(asked, nothing_changes, wait_until):
    """The task `approval` is marked as a success: `promote` runs, finds no answer in the bucket and fails."""
    asked.mark("approval")
    wait_until(lambda: asked.state() in ENDED, "the end of the run")
    assert (asked.state("promote"), asked.state()) == ("failed", "failed")


def test_a_forged_answer_promotes_nothing(asked, people, nothing_changes, wait_until):
    """An operator writes an administrator's yes into the XCom of the question and lets `promote` run again: it fails again."""
    uma = people("uma", "operator")
    tries = uma.tries("promote")
    uma.write_xcom("approval", "return_value", FORGED)
    uma.write_xcom("choose", "skipmixin_key", {"followed": ["promote"]})
    uma.clear("promote", downstream=True)
    wait_until(lambda: uma.tries("promote") > tries and uma.state() in ENDED, "the end of the run")
    assert (uma.state("promote"), uma.state()) == ("failed", "failed")


def test_a_mark_on_the_run_promotes_nothing(asked, nothing_changes):
    """`promote` and the run are marked as a success: that is what Airflow shows, and no more."""
    asked.mark("promote")
    asked.mark_run()
    assert (asked.state("promote"), asked.state()) == ("success", "success")


def test_an_approval_promotes_in_the_name_of_who_gave_it(asked, people, bucket, wait_until):
    """The question is asked again. An operator may not answer; an administrator does: the version serves, and decision and log name her."""
    asked.clear("choose", downstream=True)  # whose forged answer would let the question be skipped
    wait_until(lambda: asked.state("approval") == "awaiting_input", "the question")
    before = registry.read_decisions(bucket, RECIPE), acts(bucket)
    assert asked.refused(
        "PATCH", "/dagRuns/{run}/taskInstances/approval/-1/hitlDetails", json={"chosen_options": ["Approve"], "params_input": {}}
    )
    assert (registry.read_decisions(bucket, RECIPE), acts(bucket)) == before
    people("alice", "admin").approve("I looked at it")
    wait_until(lambda: asked.state() in ENDED, "the end of the run")
    assert asked.state() == "success"
    champion = registry.read_champion(bucket, RECIPE)
    assert champion.version != FIRST
    assert champion.why.endswith("; approved by alice: I looked at it")
    assert [(entry.who, entry.detail["why"]) for entry in acts(bucket) if entry.action is audit.Action.APPROVE] == [
        ("alice", "I looked at it")
    ]


def test_an_old_run_that_is_cleared_overrules_nobody(asked, bucket, people, wait_until):
    """A person rolls back. Clearing the old training, or the roll-back after one more choice, changes nothing and logs nothing."""
    promoted = registry.read_champion(bucket, RECIPE).version
    back = people("alice", "admin", dag="decide_champion", run="roles-back")
    back.trigger(recipe=RECIPE, action="rollback", why="second thoughts")
    wait_until(lambda: back.state() in ENDED, "the roll-back")
    before = registry.read_decisions(bucket, RECIPE), acts(bucket)
    assert (before[0].version, before[0].rejection(promoted).who) == (FIRST, "alice")
    uma = people("uma", "operator")
    tries = uma.tries("promote")
    uma.clear("promote", downstream=True)
    wait_until(lambda: uma.tries("promote") > tries and uma.state() in ENDED, "the end of the run")
    assert (uma.state("promote"), uma.state()) == ("skipped", "success")
    assert (registry.read_decisions(bucket, RECIPE), acts(bucket)) == before
    again = people("alice", "admin", dag="decide_champion", run="roles-again")
    again.trigger(recipe=RECIPE, action="promote", version=promoted, why="it is better", override="I was too quick")
    wait_until(lambda: again.state() in ENDED, "the promotion")
    before = registry.read_decisions(bucket, RECIPE), acts(bucket)
    assert before[0].version == promoted
    uma = people("uma", "operator", dag="decide_champion", run="roles-back")
    form = {"recipe": RECIPE, "action": "rollback", "why": "mine"}
    assert uma.refused("POST", "/dagRuns", json={"logical_date": None, "conf": form})
    assert uma.refused("POST", "/clearTaskInstances", json={"dag_run_id": "{run}", "task_ids": ["decide"], "dry_run": False})
    back.clear("decide")
    wait_until(lambda: back.tries("decide") > 1 and back.state() in ENDED, "the end of the run")
    assert (registry.read_decisions(bucket, RECIPE), acts(bucket)) == before
