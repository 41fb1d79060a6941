"""Here: whose task takes a free slot, as Airflow's own scheduler chooses among what waits. Not here: how slots are served (an executor)."""

import pendulum
import pytest
from airflow.sdk.api.datamodels._generated import DagRunType

NOW = pendulum.datetime(2026, 3, 6, 2, tz="UTC")
N_JOBS = 20


@pytest.fixture
def session(known_dags):
    """A session of Airflow's database whose changes are taken back."""
    from airflow.models.pool import Pool
    from airflow.utils.session import create_session

    with create_session() as session:
        for name, slots in {"cpu": 4, "night": 2, "champion": 1, "gpu": 1}.items():
            session.add(Pool(pool=name, slots=slots, description="", include_deferred=False))
        session.flush()
        yield session
        session.rollback()


@pytest.fixture
def waiting(session):
    """Function that makes a run of a DAG in which tasks have a state; of a mapped task there are `N_JOBS`."""
    from airflow.models.dagbag import DBDagBag
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.state import DagRunState
    from airflow.utils.types import DagRunTriggeredByType

    def make(dag_id, *, minutes_ago, **states):
        dag = DBDagBag().get_latest_version_of_dag(dag_id, session=session)
        run = dag.create_dagrun(
            run_id=f"turns-{dag_id}-{minutes_ago}",
            logical_date=NOW.subtract(minutes=minutes_ago),
            run_after=NOW.subtract(minutes=minutes_ago),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.TEST,
            state=DagRunState.RUNNING,
            session=session,
        )
        for task_id, state in states.items():
            task = dag.get_task(task_id)
            if task.is_mapped:
                version = run.created_dag_version_id
                more = [TaskInstance(task, run_id=run.run_id, map_index=number, dag_version_id=version) for number in range(N_JOBS)]
                for one, its in zip(more, state, strict=True):
                    one.state = its
                    session.add(one)
            else:
                run.get_task_instance(task_id, session=session).state = state
        session.flush()

    return make


def first(session, n):
    """The tasks that the scheduler hands to the executor, n at most, in its order."""
    from airflow.executors.local_executor import LocalExecutor
    from airflow.jobs.job import Job
    from airflow.jobs.scheduler_job_runner import SchedulerJobRunner

    runner = SchedulerJobRunner(job=Job(), executors=[LocalExecutor(parallelism=32)])
    queued = runner._executable_task_instances_to_queued(max_tis=n, session=session)
    return [(one.dag_id, one.task_id) for one in queued]


def test_a_report_waits_for_no_import(session, waiting):
    """While an import's tasks hold every slot of their pool, and more of them have waited for longer, the report begins at once."""
    waiting("ingest_records", minutes_ago=30, ingest_batch=["running"] * 4 + ["scheduled"] * (N_JOBS - 4))
    waiting("classify_records", minutes_ago=0, write_report="scheduled")
    assert first(session, 8) == [("classify_records", "write_report")]


def test_a_night_decides_before_more_is_taken_over(session, waiting):
    """Where slots of the common pool are free, a night's work goes first, then what is begun, then new drops, then what can wait."""
    waiting("maintain_store", minutes_ago=90, plan="scheduled")
    waiting("ingest_records", minutes_ago=60, ingest_batch=["scheduled"] * N_JOBS)
    waiting("render_spectrograms", minutes_ago=30, publish="scheduled")
    waiting("classify_records", minutes_ago=0, classify_shard=["scheduled"] + [None] * (N_JOBS - 1))
    assert first(session, 8) == [
        ("classify_records", "classify_shard"),
        ("render_spectrograms", "publish"),
        ("ingest_records", "ingest_batch"),
        ("ingest_records", "ingest_batch"),
    ]
