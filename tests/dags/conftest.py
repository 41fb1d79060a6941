"""Here: the parsed DAGs, and a database in which they can run. Not here: the object store (``tests/conftest.py``)."""

import warnings

import pytest


@pytest.fixture(scope="session")
def airflow_database():
    """A migrated SQLite database in the tests' own Airflow home."""
    from airflow.utils.db import initdb

    with warnings.catch_warnings():
        # svcs, which Airflow serves its tasks through, imports a test client that is being renamed
        warnings.filterwarnings("ignore", message=".*httpx2.*")
        import svcs  # noqa: F401 - imported for its warning only
    initdb()


@pytest.fixture
def dags():
    """Every DAG by its id, as the dag-processor reads them; afresh for each test, because a run leaves its params in the DAG."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk.configuration import conf

    folder = conf.get("core", "dags_folder")
    bag = BundleDagBag(dag_folder=folder, bundle_path=folder, bundle_name="dags-folder")
    assert bag.import_errors == {}
    return bag.dags


@pytest.fixture
def run_dag(dags, airflow_database):
    """Run a DAG's tasks for real, one after the other, without a scheduler; returns the run and its task instances."""

    def run(dag_id, conf=None, *, logical_date=None, run_after=None):
        dags[dag_id].deadline = None  # Airflow looks it up in the table of serialized DAGs, in which a DAG under test does not stand
        finished = dags[dag_id].test(logical_date=logical_date, run_after=run_after, run_conf=conf)
        return finished, finished.get_task_instances()

    return run
