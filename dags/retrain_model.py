"""Train a candidate, evaluate it on patients that no training has seen, and make it champion if it passes the gate.

A network that somebody else trained (`./ecg models add`) becomes a candidate by the same steps, and nothing is trained.

* reads: `records/`, `labels/`, `classes/`, `spectrograms/`, `models/<recipe>/champion.json`, `staging/retrain_model/added-<digest>/`
* writes: `signatures/`, `groups/`, `datasets/<dataset_id>/`, `checkpoints/`, `models/<recipe>/<version>/`, `models/<recipe>/champion.json`,
  then `manifests/retrain_model/<run>.json`
* runs: on Sundays at 03:00 UTC, or by hand with a form
* rerun: safe; a retried training goes on from its last checkpoint, and only the last task changes which model serves
* when it fails: `NotEnoughDataError` in `assemble_dataset` or `evaluate` means that more labelled patients are needed; nothing has
  changed. `LeakageError` means that test data is in the training data, and names the records. `ModelRefusedError` in `evaluate` says
  what is wrong with a network that was added. A candidate that the gate rejects does not fail the run: it is kept, marked
  `rejected` with the reason, and `promote` is skipped. A candidate that nobody approves is kept, too.
  `promote` checks the verdict, the approval and the champion again before it writes. It is skipped if a person decided otherwise
  since the verdict (see `outcome` in the manifest), and fails if the gate said no or an approval is missing
"""

# Where tasks are joined, a task's future result stands for its value.
# mypy: disable-error-code="arg-type"

from datetime import timedelta
from typing import TYPE_CHECKING

import run_note
from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task
from airflow.sdk.exceptions import AirflowSkipException
from ecg_approval import StoredApproval
from ecg_defaults import CHAMPION, GPU, TASK_DEFAULTS, recipe_field, text, text_field
from report_link import pages

from ecg_tasks.names import DagId

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    from ecg_tasks.archive.documents import Approval


class PromotionApproval(StoredApproval):
    """Asks with the gate's verdict."""

    def asked(self, context: "Context") -> str:
        """Return which version is meant, and whether it is better or a refresh."""
        from ecg_tasks.pipeline.training import promoting

        return promoting.subject(context["run_id"])

    def question(self, context: "Context") -> str:
        """Return the verdict with its figures."""
        from ecg_tasks.pipeline.training import promoting

        return promoting.question(context["run_id"], pages=pages())

    def note(self, context: "Context", answer: "Approval") -> None:
        """Store the answer beside the version."""
        from ecg_tasks.pipeline.training import promoting

        promoting.note_answer(context["run_id"], answer)


@dag(
    # No start date, unlike the others: with one in the past a fresh installation would train on an empty bucket at once.
    schedule=CronTriggerTimetable("0 3 * * 0", timezone="UTC", run_immediately=timedelta(minutes=5)),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(days=6),
    default_args=TASK_DEFAULTS,
    params={
        "recipe": recipe_field("It defines leads, windows, pictures and network."),
        "epochs": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=200,
            title="Epochs",
            description="The largest number of epochs; training stops earlier when it no longer improves. Empty: as the recipe says.",
        ),
        "ensemble_size": Param(
            None,
            type=["null", "integer"],
            minimum=1,
            maximum=10,
            title="Ensemble size",
            description="How many networks are trained, each without another part of the patients; their answers are averaged. "
            "Empty: as the recipe says.",
        ),
        "seed": Param(
            0, type="integer", minimum=0, maximum=2**31 - 1, title="Seed", description="The same seed and data give the same model."
        ),
        "policy": Param(
            "better",
            type="string",
            enum=["better", "refresh"],
            title="What may pass the gate",
            description="better: only a model that is shown to be better than the serving one. refresh: also one that "
            "has learned from new records (at least 5 %) and whose AUROC is not worse by more than 0.05.",
        ),
        "credit": text_field(
            "Credit", "The collections that it is trained on, with their licences, one in each line, for the model card. May be empty."
        ),
        "approval": Param(
            default=False,
            type="boolean",
            title="Ask before promotion",
            description="A person must approve a candidate that passed the gate within two days; without an answer it is not promoted.",
        ),
        "leave_one_site_out": Param(
            default=False,
            type="boolean",
            title="Leave one site out",
            description="Train one network again without each site that has enough test patients, ten sites at most. The card shows how "
            "well it does there. Each site takes as long as one network of the ensemble.",
        ),
        "added": Param(
            None,
            type=["null", "string"],
            pattern="^[0-9a-f]*$",
            maxLength=64,
            title="Network added",
            description="For a network that somebody else trained: the digest by which ./ecg models add stored it. Usually empty.",
        ),
    },
    tags=["ecg"],
    doc_md=__doc__,
)
def retrain_model() -> None:
    """Declare the tasks."""

    @task
    def assemble_dataset(  # noqa: PLR0917
        run_id: str,
        recipe: str,
        epochs: str,
        ensemble_size: str,
        seed: str,
        credit: str,
        policy: str,
        added: str,
        who: str,
        params: "Mapping[str, object] | None" = None,
    ) -> str:
        from ecg_tasks.pipeline import retrain_model

        return retrain_model.assemble_dataset(
            run_id,
            recipe=recipe,
            epochs=int(epochs) if epochs else None,
            ensemble_size=int(ensemble_size) if ensemble_size else None,
            seed=int(seed),
            credit=credit,
            policy=policy,
            approval=bool(params and params["approval"]),
            added=added,
            who=who,
            leave_one_site_out=bool(params and params["leave_one_site_out"]),
        )

    @task(queue=GPU, pool=GPU, execution_timeout=timedelta(hours=12))
    def train(job: str) -> str:
        from ecg_tasks.pipeline import retrain_model

        return retrain_model.train(job)

    @task
    def evaluate(job: str) -> str:
        from ecg_tasks.pipeline import retrain_model

        return retrain_model.evaluate(job)

    @task(pool=CHAMPION)
    def gate(job: str, run_id: str, ti: "RuntimeTaskInstance | None" = None) -> str:
        from ecg_tasks.pipeline import retrain_model
        from ecg_tasks.queries import dag_runs

        verdict = retrain_model.gate(job)
        run_note.tell(ti, dag_runs.headline(DagId.RETRAIN_MODEL, run_id))
        return verdict

    @task.branch
    def choose(run_id: str, params: "Mapping[str, object] | None" = None) -> str | None:
        from ecg_tasks.pipeline.training import promoting

        if not promoting.is_promotable(run_id):
            return None
        return "approval" if params and params["approval"] else "promote"

    @task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, pool=CHAMPION)
    def promote(run_id: str, params: "Mapping[str, object] | None" = None, ti: "RuntimeTaskInstance | None" = None) -> str:
        from ecg_tasks.pipeline.training import promoting
        from ecg_tasks.queries import dag_runs

        champion = promoting.promote(run_id, asked=bool(params and params["approval"]))
        run_note.tell(ti, dag_runs.headline(DagId.RETRAIN_MODEL, run_id))
        if champion is None:
            raise AirflowSkipException("a person decided otherwise since the verdict: see the log above")
        return champion

    @task(trigger_rule=TriggerRule.ALL_SKIPPED, pool=CHAMPION)
    def note_refusal(run_id: str, ti: "RuntimeTaskInstance | None" = None) -> str | None:
        from ecg_tasks.pipeline.training import promoting
        from ecg_tasks.queries import dag_runs

        champion = promoting.refuse(run_id)
        run_note.tell(ti, dag_runs.headline(DagId.RETRAIN_MODEL, run_id))
        return champion

    job = assemble_dataset(
        run_id="{{ run_id }}",
        recipe="{{ params.recipe }}",
        epochs=text("epochs"),
        ensemble_size=text("ensemble_size"),
        seed="{{ params.seed }}",
        credit=text("credit"),
        policy="{{ params.policy }}",
        added=text("added"),
        # As Airflow noted it when the run was asked for: nothing that the form or the API takes can change it.
        who="{{ dag_run.triggering_user_name or '' }}",
    )
    decision = gate(job, run_id="{{ run_id }}")
    train(job) >> evaluate(job) >> decision
    approval = PromotionApproval(
        task_id="approval",
        subject="Promote the new {{ params.recipe }} model?",
        params={
            "why": Param(
                None, type=["null", "string"], maxLength=500, title="Why", description="Stored with the decision. It may be left empty."
            )
        },
        defaults="Reject",
        response_timeout=timedelta(days=2),
        execution_timeout=None,
    )
    # from here on by the run's id, never by what a task said: an XCom may be edited
    chosen, promoted, refused = choose(run_id="{{ run_id }}"), promote(run_id="{{ run_id }}"), note_refusal(run_id="{{ run_id }}")
    decision >> chosen >> [approval, promoted]
    approval >> promoted >> refused
    # skipped after a failure, the last task alone would let a failed run pass for a good one
    [promoted, refused] >> EmptyOperator(task_id="ended", trigger_rule=TriggerRule.NONE_FAILED)


retrain_model()
