"""Here: a run that has something to tell in one sentence gets it as its note. Not here: the sentence (``pipeline``).

A task may not write into Airflow's database, and the scheduler should not wait for a bucket: the task hands its headline on as an
XCom, and the scheduler, which is just closing the run, copies it into the note.
"""

from typing import TYPE_CHECKING

from airflow.listeners import hookimpl

from ecg_tasks.names import DagId

if TYPE_CHECKING:
    from airflow.models.dagrun import DagRun
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

TELLING: dict[str, tuple[str, ...]] = {
    DagId.INGEST_RECORDS: ("publish", "plan"),
    DagId.RENDER_SPECTROGRAMS: ("publish", "plan"),
    DagId.CLASSIFY_RECORDS: ("write_report",),
    DagId.RETRAIN_MODEL: ("promote", "note_refusal", "gate"),
    DagId.DECIDE_CHAMPION: ("decide",),
    DagId.MAINTAIN_STORE: ("publish",),
    DagId.BACKFILL_VERSION: ("write_difference",),
    DagId.FORGET_PATIENT: ("carry_out",),
}
"""DAG to the tasks that hand on the sentence; that of the first one counts, for a later task knows more."""
HEADLINE = "headline"
"""Key of the XCom."""


def tell(ti: "RuntimeTaskInstance | None", sentence: str) -> None:
    """Hand on the sentence of a run from one of its tasks; an empty one is none."""
    if ti is not None and sentence:
        ti.xcom_push(key=HEADLINE, value=sentence)


@hookimpl
def on_dag_run_success(dag_run: "DagRun", msg: str) -> None:  # noqa: ARG001 - the name is part of the hook
    """Write the note of a run that ended well."""
    _copy_headline(dag_run)


@hookimpl
def on_dag_run_failed(dag_run: "DagRun", msg: str) -> None:  # noqa: ARG001 - as above
    """Write the note of a run that failed after it had reported what it found."""
    _copy_headline(dag_run)


def _copy_headline(dag_run: "DagRun") -> None:
    """Write the note, unless a person has written one."""
    if dag_run.dag_id not in TELLING or dag_run.note:
        return
    from airflow.models.xcom import XComModel
    from sqlalchemy import select
    from sqlalchemy.orm import object_session

    session = object_session(dag_run)
    if session is None:
        return
    tasks = TELLING[dag_run.dag_id]
    chosen = select(XComModel).where(
        XComModel.dag_id == dag_run.dag_id,
        XComModel.run_id == dag_run.run_id,
        XComModel.task_id.in_(tasks),
        XComModel.key == HEADLINE,
    )
    found = min(session.scalars(chosen), key=lambda one: tasks.index(one.task_id), default=None)
    if found is not None:
        dag_run.note = str(XComModel.deserialize_value(found))
