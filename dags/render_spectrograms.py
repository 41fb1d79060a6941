"""Turn every shard of records that has no spectrograms yet into pictures, for every recipe in use, and measure its records.

* reads: `records/`
* writes: `spectrograms/<recipe>@<digest>/` and `measurements/<method>/`, one file for each shard, then
  `manifests/render_spectrograms/<run>.json`
* runs: when `ingest_records` has published records
* rerun: safe; a picture file is named by its shard and its recipe, and one that exists is not made again
* when it fails: the object store was out of reach, or a worker was killed. The next run makes what is missing. A record that gives no
  picture never fails a run: it is kept with its reason, and becomes `uninterpretable`.
"""

# Where tasks are joined, a task's future result stands for its value.
# mypy: disable-error-code="arg-type"

from datetime import timedelta
from typing import TYPE_CHECKING

import pendulum
import run_note
from airflow.sdk import dag, task
from ecg_assets import ECG_RECORDS, ECG_SPECTROGRAMS, told
from ecg_defaults import Turn, defaults

from ecg_tasks.names import DagId

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk.execution_time.context import OutletEventAccessors
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance


@dag(
    schedule=[ECG_RECORDS],
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=12),
    default_args=defaults(Turn.DRAW),
    tags=["ecg"],
    doc_md=__doc__,
)
def render_spectrograms() -> None:
    """Declare the tasks."""

    @task
    def plan(run_id: str, ti: "RuntimeTaskInstance | None" = None) -> list[str]:
        from ecg_tasks.pipeline import render_spectrograms
        from ecg_tasks.queries import dag_runs

        jobs = render_spectrograms.plan(run_id)
        if not jobs:  # no other task runs
            run_note.tell(ti, dag_runs.headline(DagId.RENDER_SPECTROGRAMS, run_id))
        return jobs

    @task
    def render_shard(job: str) -> str:
        from ecg_tasks.pipeline import render_spectrograms

        return render_spectrograms.render_shard(job)

    @task(inlets=[ECG_RECORDS], outlets=[ECG_SPECTROGRAMS])
    def publish(
        run_id: str,
        results: "Sequence[str]",
        ti: "RuntimeTaskInstance | None" = None,
        outlet_events: "OutletEventAccessors | None" = None,
    ) -> str:
        from ecg_tasks.pipeline import render_spectrograms
        from ecg_tasks.queries import dag_runs

        manifest = render_spectrograms.publish(run_id, results[:])  # [:] fetches all results at once
        run_note.tell(ti, dag_runs.headline(DagId.RENDER_SPECTROGRAMS, run_id))
        return told(outlet_events, ECG_SPECTROGRAMS, manifest)

    publish(run_id="{{ run_id }}", results=render_shard.expand(job=plan(run_id="{{ run_id }}")))


render_spectrograms()
