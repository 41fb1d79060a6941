"""Let the champion of every recipe decide on the records, and write the report of the run.

* reads: `models/<recipe>/champion.json` and its version, `spectrograms/`, `labels/`, `measurements/`
* writes: `predictions/<recipe>/<shard>/<version>.parquet`, `monitoring/<recipe>/<run>.json`, `reports/<date>/<run>/`, `decided/`,
  then `manifests/classify_records/<run>.json`
* runs: at 02:00 UTC, or by hand with a form; with `ECG_DECIDE=at_once` also when `render_spectrograms` has drawn something. What comes
  during a run starts another run after it. The first task refuses a backfill over dates. If a run has not ended six hours after it was
  queued (`ECG_NIGHT_DEADLINE_S`), the channels that get its end also get a message that it is late
* rerun: safe; a prediction is named by its shard and the model version, and one that exists is not made again
* when it fails: the object store was out of reach, or a worker was killed. A champion whose files are damaged fails no run: the intact
  version before it serves, and the report says so. If there is none, the report says that no model can decide
"""

# Where tasks are joined, a task's future result stands for its value.
# mypy: disable-error-code="arg-type"

from datetime import timedelta
from typing import TYPE_CHECKING

import report_link
import run_note
from airflow.sdk import (  # type: ignore[attr-defined]  # the stub lacks what deadlines need
    AssetOrTimeSchedule,
    AsyncCallback,
    CronTriggerTimetable,
    DeadlineAlert,
    DeadlineReference,
    Param,
    TriggerRule,
    dag,
    task,
)
from ecg_assets import ECG_REPORTS, ECG_SPECTROGRAMS, told
from ecg_defaults import CHAMPION, NIGHT, Turn, defaults
from report_notifier import ReportNotifier

from ecg_tasks.settings import decides_at_once, night_deadline_s

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk.execution_time.context import OutletEventAccessors
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

LATE = DeadlineAlert(
    reference=DeadlineReference.DAGRUN_QUEUED_AT,
    interval=timedelta(seconds=night_deadline_s()),
    callback=AsyncCallback(ReportNotifier, kwargs={"state": "late"}),
)
LATE.name = "the nightly report"  # an argument since Airflow 3.3

AT_NIGHT = CronTriggerTimetable("0 2 * * *", timezone="UTC", run_immediately=timedelta(minutes=5))
ASKS_AGAIN = timedelta(seconds=3)


@dag(
    # No start date, unlike the others: with one in the past a fresh installation would report on an empty bucket at once.
    schedule=AssetOrTimeSchedule(timetable=AT_NIGHT, assets=[ECG_SPECTROGRAMS]) if decides_at_once() else AT_NIGHT,
    catchup=False,
    max_active_runs=1,
    is_paused_upon_creation=False,
    dagrun_timeout=timedelta(hours=12),
    default_args=defaults(Turn.REPORT, queue=NIGHT),
    on_success_callback=ReportNotifier(state="success"),
    on_failure_callback=ReportNotifier(state="failed"),
    deadline=LATE,
    params={
        "scope": Param(
            "new",
            type="string",
            enum=["new", "all"],
            title="Records",
            description="Which records the report covers. `new`: those that came since the last report, and those that it left pending."
            " `all`: every record of the archive. The champion always decides on all records with pictures that it has not decided on yet.",
        ),
        "details": Param(
            200,
            type="integer",
            minimum=0,
            maximum=10_000,
            title="Detail pages",
            description="Largest number of records with a page each: abnormal and uncertain ones first, then a sample of the others.",
        ),
        "after_intake": Param(
            default=False,
            type="boolean",
            title="After the intake",
            description="First wait, one hour at most, until all complete recordings in the inbox are taken over and drawn.",
        ),
    },
    tags=["ecg"],
    doc_md=__doc__,
)
def classify_records() -> None:
    """Declare the tasks."""

    @task(pool=CHAMPION)  # a champion that was trained on synthetic recordings hands over here
    def pin_champion(run_id: str, run_type: str, date: str, form: dict[str, str], wait_until: str) -> str:
        from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException
        from airflow.sdk.timezone import utcnow

        from ecg_tasks.pipeline import classify_records

        if wait_until and not classify_records.is_intake_over(until=wait_until):
            # as a sensor does, so that it takes no slot for long
            raise AirflowRescheduleException(utcnow() + ASKS_AGAIN)  # type: ignore[no-untyped-call]  # Airflow's own lack
        pin = classify_records.pin_champion(run_id, run_type=run_type, date=date, scope=form["scope"], details=int(form["details"]))
        if not classify_records.has_work(pin, run_type=run_type):
            raise AirflowSkipException("the run before has decided on everything, and its report has it")
        return pin

    @task(pool=NIGHT)
    def plan(pin: str) -> list[str]:
        from ecg_tasks.pipeline import classify_records

        return classify_records.plan(pin)

    @task
    def classify_shard(job: str) -> str:
        from ecg_tasks.pipeline import classify_records

        return classify_records.classify_shard(job)

    # A night without new records gets its report too, so the skipped mapping must not skip it. Ten million records take it about half an
    # hour, and a new champion has the whole archive compared.
    @task(
        pool=NIGHT,
        trigger_rule=TriggerRule.NONE_FAILED,
        execution_timeout=timedelta(hours=4),
        inlets=[ECG_SPECTROGRAMS],
        outlets=[ECG_REPORTS],
    )
    def write_report(
        pin: str | None,
        results: "Sequence[str]",
        ti: "RuntimeTaskInstance | None" = None,
        outlet_events: "OutletEventAccessors | None" = None,
    ) -> str:
        from airflow.sdk.exceptions import AirflowSkipException

        from ecg_tasks.pipeline import classify_records
        from ecg_tasks.queries import runs

        if pin is None:
            raise AirflowSkipException("there is nothing to report")
        report = classify_records.write_report(pin, results[:], pages=report_link.address())  # [:] fetches all results at once
        run_note.tell(ti, runs.headline(report))
        return told(outlet_events, ECG_REPORTS, report)

    pin = pin_champion(
        run_id="{{ run_id }}",
        run_type="{{ dag_run.run_type.value }}",
        # A run by hand has no logical date.
        date="{{ (dag_run.logical_date or dag_run.run_after) | ds }}",
        form={"scope": "{{ params.scope }}", "details": "{{ params.details }}"},
        wait_until="{{ ((dag_run.start_date or dag_run.run_after) + macros.timedelta(hours=1)).isoformat() if params.after_intake }}",
    )
    report = write_report(pin, results=classify_shard.expand(job=plan(pin)))
    report.operator.operator_extra_links = (report_link.OpenReport(),)  # type: ignore[attr-defined]  # a plain result has its task


classify_records()
