"""Here: how tests are shared among processes, an S3 server inside each, a home for Airflow that is not the user's.

Not here: what one folder needs.
"""

import fcntl
import gc
import os
import re
import shutil
import sqlite3
import tempfile
import uuid
import warnings
from contextlib import closing
from functools import cache
from pathlib import Path
from threading import RLock, Thread

import pytest
from hypothesis import HealthCheck, settings

from ecg_tasks.cli import terminal
from ecg_tasks.parsing import asking
from tests.browsers import chromium
from tests.patience import give_way
from tests.reading_here import read_all_here

ROOT = Path(__file__).parents[1]
FOR_TESTS = {"ECG_PICTURES", "ECG_CHART", "ECG_KEDA_DEFINITIONS", "ECG_EVERY_RECORDING"}
"""What a person tells the tests through the environment."""
TOGETHER = ("tests/dags", "tests/ecg_ui", "tests/learning", "ecg_tasks")
"""Folders whose tests stay in one process: they share a trained network, or Airflow with its database, or are short doctests."""
AFTER = {"tests/faults/test_faults.py": "stack"}
"""Files that begin when another chain's stack is gone: three stacks on two cores take longer than one after another."""
AIRFLOW_CONFIGURATION = """
[core]
dags_folder = {root}/dags
plugins_folder = {root}/plugins
load_examples = False
[database]
sql_alchemy_conn = sqlite:///{home}/airflow.db
"""


def pytest_configure(config):
    """Give Airflow a home of its own: it reads this at its first import, and would make ``~/airflow`` otherwise."""
    home = Path(tempfile.mkdtemp(prefix="ecg-tests-airflow-"))
    (home / "airflow.cfg").write_text(AIRFLOW_CONFIGURATION.format(root=ROOT, home=home))
    os.environ["AIRFLOW_HOME"] = str(home)
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    config.pluginmanager.import_plugin("tests.skips")
    # No test is a race: under load an example may take any time.
    settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("tests")


@pytest.hookimpl(wrapper=True)
def pytest_collection():
    """Look for no garbage while tests are collected, and never again in what is there then: it lives to the end, in every process.

    Eight thousand tests and what their files import are millions of objects, and every look through all of them took half a second.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items):
    """Begin with the tests that wait longest."""
    items.sort(key=lambda item: item.get_closest_marker("stack") is None)


def pytest_runtest_setup(item):
    """Let tests without a stack wait for those with one, which everything else waits for at the end.

    A process cannot go back to its old priority; those that drive stacks begin with them.
    """
    if "PYTEST_XDIST_WORKER" in os.environ and item.get_closest_marker("stack") is None and os.nice(0) == 0:
        give_way()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Keep the tests of a file, or of what shares an expensive fixture, in one process, in their order.

    xdist's own ``loadgroup`` writes the group into the name of a test, which pytest 9.2 no longer lets it do: it then spreads the tests of
    a file over all processes, without a word.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return group_of(nodeid.partition("::")[0])

    return Groups(config, log) if config.getoption("dist") == "loadscope" else None


def pytest_make_parametrize_id(val):
    """Name bytes by their length: those of gzip hold the time, and every process has to give a test the same name."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@cache
def group_of(file):
    """Return the name of the group that a test file belongs to: of the chain before it, of its mark, of its folder, or its own."""
    if file in AFTER:
        return AFTER[file]
    marked = re.search(r'mark\.chain\("(\w+)"\)', (ROOT / file).read_text(encoding="utf-8"))
    return marked[1] if marked else next((folder for folder in TOGETHER if file.startswith(f"{folder}/")), file)


@pytest.fixture(autouse=True, scope="session")
def _readers_that_have_all_libraries():
    """Let the processes that read files be forks of one that has imported what they need, as on a stack: tests take in many small drops."""
    asking.EVERYTHING_AT_ONCE = True


@pytest.fixture
def read_in_this_process(monkeypatch):
    """Let files be read here, where a test puts another reader in the place of one."""
    monkeypatch.setattr(asking.Parser, "read_all", lambda _, asked: read_all_here(asked))


@pytest.fixture(autouse=True)
def _console_of_its_own():
    """Let each test's commands make their console anew: it keeps the width that it had when a process first printed."""
    terminal.console_of.cache_clear()


@pytest.fixture(scope="module")
def browser():
    """A headless Chromium."""
    with chromium() as started:
        yield started


@pytest.fixture(scope="session")
def s3_server():
    """Address of an S3 server that lives as long as the tests.

    It is moto's. What the process of the tests asks of it goes the short way (``tests/short_way.py``), or at least without a socket; what
    other processes ask comes over HTTP; all see the same buckets. A test that is about requests themselves takes `over_http`.
    """
    from botocore.client import BaseClient
    from moto import mock_aws
    from moto.core.models import botocore_stubber
    from moto.moto_server.werkzeug_app import create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    from tests.short_way import patched

    class Silent(WSGIRequestHandler):
        def log(self, *_):
            pass

    server = make_server("127.0.0.1", 0, create_backend_app("s3"), threaded=True, request_handler=Silent)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    whole, turn = botocore_stubber.process_request, RLock()

    def in_turn(request):
        with turn:  # two threads that write one key at once meet in moto's file of it; over HTTP the client tries again
            return whole(request)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore_stubber, "process_request", in_turn)
        patch.setattr(BaseClient, "_make_api_call", patched(address, turn))
        patch.setenv("MOTO_S3_CUSTOM_ENDPOINTS", address)
        with mock_aws(config={"core": {"mock_credentials": False, "reset_boto3_session": False}}):
            yield address
    server.shutdown()


@pytest.fixture
def over_http(s3_server, monkeypatch):
    """Every request to the server goes over HTTP, as to any other."""
    from moto.core.models import botocore_stubber

    assert botocore_stubber.enabled
    monkeypatch.setattr(botocore_stubber, "enabled", False)


@pytest.fixture(scope="session")
def sqs_server():
    """Address of a server of queues; it is in the same process, so that the buckets of ``s3_server`` tell them of drops."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def clean_environment():
    """The environment of a new user: other tests' stores, keys and Airflow settings are not in it."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith(("AWS_", "ECG_", "AIRFLOW__")) and name not in FOR_TESTS]:
            patch.delenv(name)
        yield


@pytest.fixture(scope="session")
def bucket_in(s3_server):
    """Function that makes a bucket, and sets the environment of tasks that work in it through a ``MonkeyPatch``."""
    from ecg_tasks.archive.workspace import open_store

    def make(patch, **more):
        environment = {
            "AWS_ENDPOINT_URL_S3": s3_server,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "ECG_BUCKET": f"test-{uuid.uuid4().hex}",
            "ECG_PATIENT_KEY": "a key that only the tests know....",
            "ECG_RAW_KEEPS": "as_dropped",
            "ECG_KEEP_NAMES": "1",  # most tests tell recordings by their names; those of what is not kept unset both
        }
        for name, value in (environment | more).items():
            patch.setenv(name, value)
        store = open_store()
        store.create_bucket()
        return store

    return make


@pytest.fixture
def bucket(bucket_in, monkeypatch):
    """The store of an empty bucket that every task of the test sees."""
    return bucket_in(monkeypatch)


@pytest.fixture(scope="session")
def migrated_database(tmp_path_factory):
    """Airflow's database in SQLite, migrated and empty, as a file to copy: the migration takes ten seconds, and is done once a run."""
    folder = tmp_path_factory.getbasetemp()
    folder = folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder
    template, ours = folder / "airflow.db", Path(os.environ["AIRFLOW_HOME"]) / "airflow.db"
    with warnings.catch_warnings():
        # svcs, which Airflow serves its tasks through, imports a test client that is being renamed
        warnings.filterwarnings("ignore", message=".*httpx2.*")
        import svcs  # noqa: F401 - imported for its warning only
    with (folder / "airflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not template.exists():
            from airflow.utils.db import initdb

            with warnings.catch_warnings():
                # of the provider's Alembic settings, which are not ours
                warnings.filterwarnings("ignore", message="No path_separator found", category=DeprecationWarning)
                initdb()
            with closing(sqlite3.connect(ours)) as made, closing(sqlite3.connect(folder / "airflow.new")) as copy:
                made.backup(copy)  # not by its file alone: a part of it may stand in a log beside it
            (folder / "airflow.new").replace(template)
    return template


@pytest.fixture(scope="session")
def airflow_database(migrated_database):
    """A migrated database in the tests' own Airflow home."""
    ours = Path(os.environ["AIRFLOW_HOME"]) / "airflow.db"
    if not ours.exists() or ours.stat().st_size == 0:
        shutil.copy(migrated_database, ours)


@pytest.fixture(scope="session")
def api_settings():
    """Environment of Airflow's API and its simple auth manager, as an api-server has it."""
    return {
        "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
        "AIRFLOW__API__SECRET_KEY": "k" * 32,
        "ECG_ALLOWED_HOSTS": "testserver",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "ada:ADMIN",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": f"{os.environ['AIRFLOW_HOME']}/passwords.json",
    }


@pytest.fixture(scope="session")
def todays_version():
    """Maker of a version for today's pictures, out of the shipped champion's weights: what these decide is not the point here."""
    from tests.versions import todays_version

    return todays_version


@pytest.fixture(scope="session")
def contrast():
    """Function that gives the contrast ratio of two colours as WCAG 2.2 defines it."""

    def ratio(first, second):
        def luminance(colour):
            digits = colour[1:] if len(colour) == 7 else "".join(digit * 2 for digit in colour[1:])
            channels = [int(digits[index : index + 2], 16) / 255 for index in (0, 2, 4)]
            linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
            return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

        light, dark = sorted((luminance(first), luminance(second)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    return ratio
