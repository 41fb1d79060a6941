"""Find old objects that nothing needs, objects without their source, and damaged ones. By default it deletes only what may name people.

* reads: everything in the bucket
* writes: the access log of each day that is over as one object; `manifests/maintain_store/<run>.json`, with its full lists in
  `manifests/maintain_store/<run>/`; before it deletes, an entry in `audit/`
* runs: on Saturdays at 04:00 UTC, as a dry run unless the setting `ECG_RETENTION` names what to delete, or by hand with a form.
  Every scheduled run deletes what is older than 30 days in `quarantine/` and `staging/`, and older than two years in `access/`, because
  these may name people
* rerun: safe; it deletes only what the first try listed, and only if nothing needs it by now
* when it fails: `DamagedStoreError` in `fail_if_damaged` names one of the objects whose bytes have changed: restore them from a backup.
  Otherwise the object store was out of reach. Orphans do not fail the run: see the run's page, *ECG report*.
"""

# Where tasks are joined, a task's future result stands for its value.
# mypy: disable-error-code="arg-type"

from datetime import timedelta
from typing import TYPE_CHECKING

import run_note
from airflow.sdk import CronTriggerTimetable, Param, dag, task
from ecg_defaults import CHAMPION, TASK_DEFAULTS

if TYPE_CHECKING:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

KEPT = {
    "reports": (0, 0, "Whole reports. What a kept report needs is kept, too."),
    "backfills": (0, 0, "Whole backfills with their difference pages."),
    "predictions": (180, 0, "Predictions of versions that do not serve, if no kept report or backfill needs them."),
    "spectrograms": (90, 0, "Pictures of recipes that are no longer used, if no serving version reads them."),
    "measurements": (90, 0, "Measurements by methods that are no longer used."),
    "signatures": (90, 0, "Signatures of kinds that are no longer made."),
    "checkpoints": (30, 7, "Checkpoints of trainings that ended or were given up."),
    "staging": (30, 7, "Intermediate objects of runs that ended or were given up."),
    "quarantine": (30, 0, "Files that could not be read, with their bytes and names."),
    "raw": (0, 7, "Dropped files that no record comes from. The bytes behind a record are never deleted."),
    "access": (730, 90, "The access log, by whole days: who logged in, was refused or saw what."),
}
"""Prefix to its default of days (0: for ever), the fewest that may be asked for, and what goes."""


@dag(
    # No start date: a fresh installation has nothing to be looked after.
    schedule=CronTriggerTimetable("0 4 * * 6", timezone="UTC", run_immediately=timedelta(minutes=5)),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=12),
    default_args=TASK_DEFAULTS,
    params={
        "dry_run": Param(
            True,  # noqa: FBT003 - as Airflow has it
            type="boolean",
            title="Dry run",
            description="Only list what would be deleted, with the number of bytes.",
        ),
        "sample": Param(
            200,
            type="integer",
            minimum=0,
            maximum=100_000,
            title="Read again",
            description="Number of objects of each kind named by its content that are read again and checked; each run draws others.",
        ),
    }
    | {
        f"{name}_days": Param(
            default,
            type="number",
            anyOf=[{"const": 0}, {"minimum": least}],
            minimum=0,
            maximum=36_500,
            title=f"Days to keep {name}/",
            description=f"{what} 0: for ever.",
        )
        for name, (default, least, what) in KEPT.items()
    },
    tags=["ecg"],
    doc_md=__doc__,
)
def maintain_store() -> None:
    """Declare the tasks."""

    @task
    def pack_access_log() -> int:
        from ecg_tasks.pipeline import maintain_store

        return maintain_store.pack_access_log()

    @task
    def plan(run_id: str, run_type: str, form: dict[str, str]) -> str:
        from ecg_tasks.pipeline import maintain_store

        return maintain_store.plan(run_id, **maintain_store.form(form, scheduled=run_type == "scheduled"))

    # No version starts or stops serving meanwhile.
    @task(pool=CHAMPION)
    def delete(plan: str) -> str:
        from ecg_tasks.pipeline import maintain_store

        return maintain_store.delete(plan)

    @task
    def check_orphans(plan: str) -> str:
        from ecg_tasks.pipeline import maintain_store

        return maintain_store.check_orphans(plan)

    @task
    def check_contents(plan: str) -> str:
        from ecg_tasks.pipeline import maintain_store

        return maintain_store.check_contents(plan)

    @task
    def publish(plan: str, deleted: str, orphans: str, contents: str, ti: "RuntimeTaskInstance | None" = None) -> str:
        from ecg_tasks.pipeline import maintain_store

        manifest = maintain_store.publish(plan, deleted, orphans, contents)
        run_note.tell(ti, maintain_store.headline(manifest))
        return manifest

    @task
    def fail_if_damaged(manifest: str) -> None:
        from ecg_tasks.pipeline import maintain_store

        maintain_store.fail_if_damaged(manifest)

    planned = plan(
        run_id="{{ run_id }}",
        run_type="{{ dag_run.run_type.value }}",
        form={name: "{{ params.%s }}" % name for name in ("dry_run", "sample", *(f"{name}_days" for name in KEPT))},  # noqa: UP031 - braces
    )
    pack_access_log() >> planned
    deleted = delete(planned)
    orphans, contents = check_orphans(planned), check_contents(planned)
    deleted >> [orphans, contents]
    fail_if_damaged(publish(planned, deleted, orphans, contents))


maintain_store()
