"""Forget a recording, or all recordings of a patient, in everything that the bucket holds; other people's data stay.

* reads: everything in the bucket, and the request in `forgotten/<token>.json` that `./ecg forget` wrote
* writes: every object that has something of these recordings; `audit/`; then `manifests/forget_patient/<run>.json`, which lists the
  versions that learned from them
* runs: by hand, with the token of a request. No id is in the form, because Airflow keeps the form. `wait_for_others` waits until no run
  of another DAG is active; no other run begins while `carry_out` is active
* rerun: safe; if a run was interrupted, another run with the same token continues it, with the same result
* when it fails: `ConfigurationError` says that there is no such request, or that nobody approved it. Otherwise the object store was out
  of reach: start it again. Other runs begin again in any case; start a nightly run again if it failed between two tries
"""

# Where tasks are joined, a task's future result stands for its value.
# mypy: disable-error-code="arg-type"

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import run_note
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import BaseSensorOperator, Param, TriggerRule, dag, task
from ecg_approval import StoredApproval
from ecg_defaults import Turn, defaults

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    from ecg_tasks.archive.documents import Approval


class ForgettingApproval(StoredApproval):
    """Asks with what would be forgotten."""

    def question(self, context: "Context") -> str:
        """Return how much that is."""
        from ecg_tasks.pipeline import forget_patient

        return forget_patient.sentence(context["params"]["request"])

    def note(self, context: "Context", answer: "Approval") -> None:
        """Store the answer beside the run."""
        from ecg_tasks.pipeline import forget_patient

        forget_patient.note_answer(context["run_id"], context["params"]["request"], answer)


class OthersEnded(BaseSensorOperator):
    """Waits until no run of another DAG is at work, and lets none begin from then on. It gives its slot back between two looks."""

    template_fields = ("request",)

    def __init__(self, *, request: str, **more: Any) -> None:
        super().__init__(**more)
        self.request = request

    def poke(self, context: "Context") -> bool:
        """Look once."""
        from ecg_tasks.pipeline import forget_patient

        def at_work() -> bool:
            return any(context["ti"].get_dr_count(dag_id=other.value, states=["running"]) for other in forget_patient.OTHERS)

        return forget_patient.begin_alone(self.request, at_work=at_work)


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(days=9),
    default_args=defaults(Turn.PERSON),
    params={
        "request": Param(
            type="string",
            pattern="^[0-9a-f]+$",
            maxLength=64,
            title="Request",
            description="The token that ./ecg forget printed. It identifies nobody.",
        ),
    },
    tags=["ecg"],
    doc_md=__doc__,
)
def forget_patient() -> None:
    """Declare the tasks."""

    @task.branch
    def choose(request: str) -> str:
        from ecg_tasks.pipeline import forget_patient

        return "approval" if forget_patient.needs_approval(request) else "wait_for_others"

    @task(execution_timeout=timedelta(hours=12))
    def carry_out(run_id: str, request: str, ti: "RuntimeTaskInstance | None" = None) -> str:
        from ecg_tasks.pipeline import forget_patient

        manifest = forget_patient.carry_out(run_id, request)
        run_note.tell(ti, forget_patient.headline(manifest))
        return manifest

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def let_others_begin() -> None:
        from ecg_tasks.pipeline import forget_patient

        forget_patient.end()

    request = "{{ params.request }}"
    approval = ForgettingApproval(
        task_id="approval",
        subject="Remove these recordings for good?",
        params={"why": Param(None, type=["null", "string"], maxLength=500, title="Why", description="It may be left empty.")},
        defaults="Reject",
        response_timeout=timedelta(days=2),
        execution_timeout=None,
    )
    waited = OthersEnded(
        task_id="wait_for_others",
        request=request,
        poke_interval=30,
        timeout=timedelta(days=6).total_seconds(),  # a training may wait for an approval of its own
        mode="reschedule",
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
    )
    chosen, done = choose(request), carry_out(run_id="{{ run_id }}", request=request)
    chosen >> [approval, waited]
    approval >> waited >> done >> let_others_begin()
    # without it, the last task alone would let a failed run pass for a good one
    done >> EmptyOperator(task_id="ended", trigger_rule=TriggerRule.NONE_FAILED)


forget_patient()
