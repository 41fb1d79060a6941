"""Let a chosen version decide on the whole archive, and show how it differs from another one. The serving version does not change.

* reads: `models/<recipe>/`, `spectrograms/`, `labels/`, `measurements/`
* writes: `predictions/<recipe>/<shard>/<version>.parquet`, `backfills/<name>/` (the difference page, and in `report/` the report that
  this version would give), then `manifests/backfill_version/<run>.json`
* runs: by hand with a form
* rerun: safe; a prediction is named by its shard and version, and the pages are written again
* when it fails: `ConfigurationError` says why the version cannot be compared. Otherwise the object store was out of reach, or a worker was
  killed: clear the failed task
"""

# Where tasks are joined, a task's future result stands for its value.
# mypy: disable-error-code="arg-type"

from datetime import timedelta
from typing import TYPE_CHECKING

import report_link
import run_note
from airflow.sdk import Param, TriggerRule, dag, task
from ecg_defaults import TASK_DEFAULTS, recipe_field, text, version_field

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=12),
    default_args=TASK_DEFAULTS,
    params={
        "recipe": recipe_field("The recipe of the version."),
        "version": Param(type="string", pattern="^[0-9a-f]+$", maxLength=64, title="Version", description="Its name in models/<recipe>/."),
        "against": version_field("Compared with", "Another version. Empty: the serving one."),
    },
    tags=["ecg"],
    doc_md=__doc__,
)
def backfill_version() -> None:
    """Declare the tasks."""

    @task
    def pin_versions(run_id: str, date: str, form: dict[str, str]) -> str:
        from ecg_tasks.pipeline import backfill_version

        return backfill_version.pin_versions(run_id, date=date, **form)

    @task
    def plan(pin: str) -> list[str]:
        from ecg_tasks.pipeline import backfill_version

        return backfill_version.plan(pin)

    @task
    def classify_shard(job: str) -> str:
        from ecg_tasks.pipeline import backfill_version

        return backfill_version.classify_shard(job)

    # Where both versions have decided on everything already, the skipped mapping must not skip the page.
    @task(trigger_rule=TriggerRule.NONE_FAILED)
    def write_difference(pin: str, results: "Sequence[str]", ti: "RuntimeTaskInstance | None" = None) -> str:
        from ecg_tasks.pipeline import backfill_version

        page = backfill_version.write_difference(pin, results[:], pages=report_link.address())  # [:] fetches all results at once
        run_note.tell(ti, backfill_version.headline(page))
        return page

    pin = pin_versions(
        run_id="{{ run_id }}",
        date="{{ (dag_run.logical_date or dag_run.run_after) | ds }}",
        form={name: text(name) for name in ("recipe", "version", "against")},
    )
    page = write_difference(pin, results=classify_shard.expand(job=plan(pin)))
    page.operator.operator_extra_links = (report_link.OpenReport(),)  # type: ignore[attr-defined]  # a plain result has its task


backfill_version()
