"""Let a person promote a version, roll back to the one before, or reject one.

* reads: `models/<recipe>/`
* writes: `models/<recipe>/champion.json`, then `manifests/decide_champion/<run>.json`
* runs: by hand, with a form, or by `./ecg promote`, `rollback` and `reject`
* rerun: safe; what is decided already stays as it is, and a cleared run decides nothing. Start a new run for another
  decision. Who, when and why stay in `champion.json` for ever
* when it fails: `ConfigurationError` says why it cannot be done, and nothing has changed. A version that the gate or a person rejected
  needs a reason for overruling that. `ModelRefusedError`: the version does not work; it is damaged, or this machine is
"""

from datetime import timedelta
from typing import TYPE_CHECKING

import run_note
from airflow.sdk import Param, dag, task
from ecg_defaults import CHAMPION, Turn, defaults, recipe_field, text, text_field, version_field

from ecg_tasks.names import DagId

if TYPE_CHECKING:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=3),
    default_args=defaults(Turn.PERSON),
    params={
        "recipe": recipe_field("The recipe of the model."),
        "action": Param(
            "promote",
            type="string",
            enum=["promote", "rollback", "reject"],
            title="Action",
            description="promote: let the version serve. rollback: let the earlier version serve again, and reject the serving one. "
            "reject: mark a version as one that must not serve.",
        ),
        "version": version_field("Version", "Its name in models/<recipe>/. Leave it empty for a rollback only."),
        "why": text_field("Why", "Required. It is stored with the decision for ever.", required=True),
        "override": text_field(
            "Why a rejection is overruled",
            "Required to promote a version that the gate or a person rejected, or that was never evaluated. Otherwise leave it empty.",
        ),
    },
    tags=["ecg"],
    doc_md=__doc__,
)
def decide_champion() -> None:
    """Declare the task."""

    @task(pool=CHAMPION)
    def decide(run_id: str, who: str, cleared: str, form: dict[str, str], ti: "RuntimeTaskInstance | None" = None) -> str:
        from ecg_tasks.pipeline import decide_champion
        from ecg_tasks.queries import dag_runs

        try:
            return decide_champion.decide(run_id, who=who, cleared=int(cleared) > 0, **form)
        finally:  # what was refused has its sentence, too
            run_note.tell(ti, dag_runs.headline(DagId.DECIDE_CHAMPION, run_id))

    decide(
        run_id="{{ run_id }}",
        # As Airflow noted it when the run was asked for: nothing that the form or the API takes can change it.
        who="{{ dag_run.triggering_user_name or 'unknown' }}",
        cleared="{{ dag_run.clear_number or 0 }}",
        form={name: text(name) for name in ("recipe", "action", "version", "why", "override")},
    )


decide_champion()
