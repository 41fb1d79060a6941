"""Let a person promote a version, roll back to the one before, or reject one.

* reads: `models/<recipe>/`
* writes: `models/<recipe>/champion.json`, then `manifests/decide_champion/<run>.json`
* runs: by hand, with a form, or by `./ecg promote`, `rollback` and `reject`
* rerun: safe; what is decided already is left as it is, and a cleared run decides nothing: whoever wants something decided starts a
  run of their own. Who, when and why stay in `champion.json` for ever
* when it fails: `ConfigurationError` says why it cannot be done, and nothing has changed. A version that the gate or a person rejected
  needs a reason for overruling that. `ModelRefusedError`: the version does not work; it is damaged, or this machine is
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task
from ecg_defaults import CHAMPION, TASK_DEFAULTS, recipe_field, version_field


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=3),
    default_args=TASK_DEFAULTS,
    params={
        "recipe": recipe_field("Whose model is decided on."),
        "action": Param(
            "promote",
            type="string",
            enum=["promote", "rollback", "reject"],
            title="Action",
            description="promote: let the version serve. rollback: let the one before serve again, and reject the one that serves. "
            "reject: mark a version as not wanted.",
        ),
        "version": version_field("Version", "Its name in models/<recipe>/; for a rollback it may be left empty."),
        "why": Param(
            "", type="string", format="multiline", maxLength=2000, title="Why", description="Needed; kept for ever beside the decision."
        ),
        "override": Param(
            "",
            type="string",
            format="multiline",
            maxLength=2000,
            title="Why a rejection is overruled",
            description="Needed to promote a version that the gate or a person rejected, or that was never judged.",
        ),
        "on_behalf_of": Param(
            "", type="string", maxLength=200, title="On behalf of", description="Filled in by programs that act for a person."
        ),
    },
    tags=["ecg"],
    doc_md=__doc__,
)
def decide_champion() -> None:
    """Declare the task."""

    @task(pool=CHAMPION)
    def decide(run_id: str, who: str, cleared: str, form: dict[str, str]) -> str:
        from ecg_tasks.steps.champions import promotion

        return promotion.decide(run_id, who=who, cleared=int(cleared) > 0, **form)

    decide(
        run_id="{{ run_id }}",
        who="{{ dag_run.triggering_user_name or 'unknown' }}{{ ' for ' ~ params.on_behalf_of if params.on_behalf_of }}",
        cleared="{{ dag_run.clear_number or 0 }}",
        form={name: "{{ params.%s }}" % name for name in ("recipe", "action", "version", "why", "override")},  # noqa: UP031 - braces
    )


decide_champion()
