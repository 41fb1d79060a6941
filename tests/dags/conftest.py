"""Here: the parsed DAGs, and Airflow's API. Not here: the object store and Airflow's database (``tests/conftest.py``)."""

import time
import warnings

import pytest


def read(name=""):
    """Read the DAGs as the dag-processor does, or those of one file."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk.configuration import conf

    folder = conf.get("core", "dags_folder")
    bag = BundleDagBag(dag_folder=f"{folder}/{name}", bundle_path=folder, bundle_name="dags-folder")
    assert bag.import_errors == {}
    return bag


@pytest.fixture(scope="session")
def parsed_bag():
    """The DAGs, which no test changes."""
    return read()


@pytest.fixture
def dags(parsed_bag):
    """Every DAG by its id, read once for all tests."""
    return parsed_bag.dags


@pytest.fixture
def run_dag(known_dags, monkeypatch):
    """Run a DAG's tasks for real, one after the other, without a scheduler; returns the run and its task instances.

    Airflow would read and store all DAGs before each run, and wait a second between some tasks.
    """
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    monkeypatch.setattr(DagBundlesManager, "get_all_dag_bundles", lambda _self: [])
    monkeypatch.setattr(time, "sleep", lambda seconds, sleep=time.sleep: sleep(min(seconds, 0.05)))
    afresh = {}  # a run leaves its params in the DAG, and stays in the database by the DAG's id

    def run(dag_id, conf=None, *, logical_date=None, run_after=None):
        dags = afresh[dag_id] = afresh.get(dag_id) or read(f"{dag_id}.py").dags
        # Airflow looks the deadline up in the table of serialized DAGs, in which a DAG under test does not stand
        monkeypatch.setattr(dags[dag_id], "deadline", None)
        finished = dags[dag_id].test(logical_date=logical_date, run_after=run_after, run_conf=conf)
        return finished, finished.get_task_instances()

    return run


@pytest.fixture(scope="session")
def known_dags(airflow_database, parsed_bag):
    """The DAGs as they stand in Airflow's database after they were read: what the API and the scheduler go by."""
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.dag_processing.dagbag import sync_bag_to_db

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(parsed_bag, "dags-folder", None)


@pytest.fixture(scope="session")
def api_of(known_dags, api_settings):
    """Maker of a client of Airflow's real API, signed in as an administrator of a name."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in api_settings.items():
            patch.setenv(name, value)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Airflow's and Starlette's own deprecations
            from airflow.api_fastapi.app import create_app, get_auth_manager
            from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
            from fastapi.testclient import TestClient

            app = create_app(apps="core")

        def make(name="ada"):
            token = get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=name, role="ADMIN", teams=None))
            return TestClient(app, base_url="http://testserver", headers={"authorization": f"Bearer {token}"})

        yield make
