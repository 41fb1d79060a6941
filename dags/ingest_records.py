"""Take over what was dropped into the inbox: read it, check it, store it as records, or put it into quarantine with a reason.

* reads: `inbox/`
* writes: `raw/`, `records/`, `labels/`, `classes/`, `quarantine/`, then `manifests/ingest_records/<run>.json`; only then the files leave
  `inbox/`
* takes: at most 1,000 tasks for each run, the oldest complete drops first; the last task then starts another run for the rest
* runs: within seconds of a drop (the inbox watcher; within two minutes if many files wait), and every 15 minutes for what the watcher
  missed
* rerun: safe; records and shards are named by their content, so a file that comes twice is one record
* when it fails: the object store was out of reach, or a worker was killed. Nothing is lost, and the next run continues with what is
  still in `inbox/`. A bad file never fails a run: it is in `quarantine/`, and the run's manifest has its reason.
"""

# Where tasks are joined, a task's future result stands for its value.
# mypy: disable-error-code="arg-type"

from datetime import timedelta
from typing import TYPE_CHECKING

import pendulum
import run_note
from airflow.sdk import AssetOrTimeSchedule, CronTriggerTimetable, dag, task
from ecg_assets import ECG_INBOX, ECG_RECORDS, told
from ecg_defaults import Turn, defaults

from ecg_tasks.names import DagId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk.execution_time.context import OutletEventAccessors
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance


@dag(
    schedule=AssetOrTimeSchedule(timetable=CronTriggerTimetable("*/15 * * * *", timezone="UTC"), assets=[ECG_INBOX]),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=6),
    default_args=defaults(Turn.TAKE_OVER),
    tags=["ecg"],
    doc_md=__doc__,
)
def ingest_records() -> None:
    """Declare the tasks."""

    @task
    def plan(run_id: str, ti: "RuntimeTaskInstance | None" = None) -> list[str]:
        from ecg_tasks.pipeline import ingest_records
        from ecg_tasks.queries import dag_runs

        jobs = ingest_records.plan(run_id)
        if not jobs:  # no other task runs
            run_note.tell(ti, dag_runs.headline(DagId.INGEST_RECORDS, run_id))
        return jobs

    @task
    def ingest_batch(job: str, ti: "RuntimeTaskInstance | None" = None) -> str:
        from ecg_tasks.pipeline import ingest_records

        return ingest_records.ingest_batch(job, tried_before=ti is not None and ti.try_number > 1)

    @task(inlets=[ECG_INBOX], outlets=[ECG_RECORDS])
    def publish(
        run_id: str,
        results: "Sequence[str]",
        ti: "RuntimeTaskInstance | None" = None,
        outlet_events: "OutletEventAccessors | None" = None,
    ) -> str:
        from ecg_tasks.pipeline import ingest_records
        from ecg_tasks.queries import dag_runs

        manifest = ingest_records.publish(run_id, results[:])  # [:] fetches all results at once
        run_note.tell(ti, dag_runs.headline(DagId.INGEST_RECORDS, run_id))
        return told(outlet_events, ECG_RECORDS, manifest)

    @task(outlets=[ECG_INBOX], trigger_rule="none_failed")
    def ask_for_the_rest(run_id: str) -> str:
        from airflow.sdk.exceptions import AirflowSkipException

        from ecg_tasks.pipeline.intake import waiting

        result = waiting.rest(run_id)
        if not result:
            raise AirflowSkipException("no complete drop is left for another run")
        return result

    published = publish(run_id="{{ run_id }}", results=ingest_batch.expand(job=plan(run_id="{{ run_id }}")))
    published >> ask_for_the_rest(run_id="{{ run_id }}")


ingest_records()
