"""Here: the embedded stack, started for real: health, safety, restarts, recovery, and that nothing is left. Not here: the DAGs at work.

One stack serves all tests of this file, in their order; each leaves it healthy.
"""

import io
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.embedded import Stack, object_store, processes, supervision
from deploy.embedded.home import LOOPBACK

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 240.0
"""For one component to come back; ten seconds are usual, on a machine that does nothing else."""

KEPT = "kept/größe=20 MB.bin"

pytestmark = [pytest.mark.stack, pytest.mark.timeout(1200)]


@pytest.fixture(scope="module")
def stack(clean_environment):
    """A stack of a fresh state folder, stopped and removed at the end."""
    folder = Path(tempfile.mkdtemp(prefix="ecg-stack-"))
    stack = Stack(folder / "home")
    try:
        stack.up()
        yield stack
    finally:
        stack.down()
        shutil.rmtree(folder)


def wait_until(condition, what):
    """Wait for a condition; the test fails with ``what`` when it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {PATIENCE_S:.0f} s"
        time.sleep(0.3)


@contextmanager
def client(stack, secret=None):
    """An S3 client with the stack's key, or with another secret."""
    import boto3
    from botocore.config import Config

    environment = stack.environment()
    opened = boto3.client(
        "s3",
        endpoint_url=environment["AWS_ENDPOINT_URL_S3"],
        aws_access_key_id=environment["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=secret or environment["AWS_SECRET_ACCESS_KEY"],
        region_name=environment["AWS_DEFAULT_REGION"],
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    yield opened
    opened.close()


def size_of_kept(stack):
    """Bytes of the object that the tests keep, read through the store."""
    with client(stack) as s3:
        return len(s3.get_object(Bucket="ecg", Key=KEPT)["Body"].read())


def ecg(stack, *arguments):
    """Run a command as a person does."""
    environment = os.environ | {"ECG_HOME": str(stack.home), "PYTHONPATH": str(CHECKOUT), "BROWSER": "true"}
    command = [sys.executable, "-m", "ecg_tasks.cli", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_everything_is_healthy(stack):
    """After ``up`` every component runs and answers, and ``status --json`` says so with exit status 0."""
    done = ecg(stack, "status", "--json")
    assert done.returncode == 0, done.stdout
    status = json.loads(done.stdout)
    assert status["healthy"] is True
    assert set(status["components"]) == set(supervision.COMPONENTS)
    assert set(status["components"].values()) == {"running"}
    assert status["ui"] == stack.ui
    assert status["bucket"] == "s3://ecg"
    assert status["endpoint"] == object_store.endpoint(stack.home)
    assert stack.password not in done.stdout


def test_the_login_is_shown_by_open(stack):
    """``open`` prints what a person types into the web interface."""
    shown = ecg(stack, "open").stdout
    assert stack.ui in shown
    assert stack.password in shown


def test_nothing_listens_beyond_this_machine(stack):
    """Every server of the stack listens on 127.0.0.1 only."""
    listening = set()
    for process in processes.of_stack(stack.home):
        with suppress(psutil.NoSuchProcess):  # a task or a parser that ended meanwhile
            listening |= {one.laddr for one in process.net_connections(kind="inet") if one.status == psutil.CONN_LISTEN}
    assert len({address.port for address in listening}) == 7
    assert {address.ip for address in listening} == {LOOPBACK}


def test_every_server_wants_its_secret(stack):
    """A wrong key, password or token is refused by the store, Airflow, the database and the supervisor."""
    from botocore.exceptions import ClientError

    with client(stack, secret="wrong") as s3, pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        s3.list_objects_v2(Bucket="ecg")
    wrong = {"username": stack.login, "password": "wrong"}
    assert httpx.post(f"{stack.ui}/auth/token", json=wrong, trust_env=False).status_code == 401
    assert httpx.get(f"{stack.ui}/api/v2/dags", trust_env=False).status_code == 401
    ports = stack.home.ports()
    assert httpx.post(f"http://{LOOPBACK}:{ports.control}/RPC2", trust_env=False).status_code == 401
    import psycopg

    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(f"host={LOOPBACK} port={ports.postgres} user=airflow password=wrong dbname=airflow")


def test_secrets_stay_with_their_owner(stack):
    """No file of the state folder that holds a secret can be read by others, nor is a secret on a command line."""
    held = stack.home.secrets()
    secrets = [value for name, value in vars(held).items() if name != "s3_access_key"]
    for process in processes.of_stack(stack.home):
        assert not [secret for secret in secrets if secret in " ".join(process.cmdline())]
    assert stack.home.path.stat().st_mode & 0o077 == 0
    for file in stack.home.path.glob("*.json"):
        assert file.stat().st_mode & 0o077 == 0


def test_the_pools_are_there(stack):
    """The pool ``cpu`` has two slots a core, ``gpu`` one."""
    with stack.airflow() as api:
        pools = {pool["name"]: pool["slots"] for pool in api._request("GET", "/api/v2/pools").json()["pools"]}
    assert pools["cpu"] == 2 * (os.cpu_count() or 1)
    assert pools["gpu"] == 1


def test_airflow_reads_every_dag(stack):
    """The four DAGs are there and none of their files has an error."""
    with stack.airflow() as api:
        wanted = {"ingest_records", "render_spectrograms", "retrain_model", "classify_records"}
        wait_until(lambda: wanted <= set(api.dags()), "reading of the DAGs")
        assert api.import_errors() == {}


def test_no_component_complains(stack):
    """A start writes no error and no traceback into any log."""
    for log in stack.home.logs.glob("*.log"):
        text = log.read_text(errors="replace")
        if log.stem == "postgres":  # Airflow asks for a table before it makes it, once
            text = text.replace('ERROR:  relation "log" does not exist', "")
        found = re.search(r"Traceback|\[error|\[critical|ERROR", text)
        assert found is None, f"{log}:\n{text[max(found.start() - 1000, 0) : found.start() + 3000]}"


def test_an_object_is_kept_whole(stack):
    """An object of 20 MB, in parts, comes back bit for bit, and a listing has it at once."""
    data = os.urandom(20 * 1024 * 1024)
    with client(stack) as s3:
        s3.upload_fileobj(io.BytesIO(data), "ecg", KEPT)
        assert [item["Key"] for item in s3.list_objects_v2(Bucket="ecg", Prefix="kept/")["Contents"]] == [KEPT]
        assert s3.get_object(Bucket="ecg", Key=KEPT)["Body"].read() == data


def test_a_second_up_changes_nothing(stack):
    """``up`` of a healthy stack starts nothing anew."""
    before = supervision.pids(stack.home)
    assert stack.up().healthy
    assert supervision.pids(stack.home) == before


@pytest.mark.parametrize("component", supervision.COMPONENTS)
def test_a_killed_component_comes_back(stack, component):
    """After kill -9 of any one component the whole stack is healthy again by itself."""
    killed = supervision.pids(stack.home)[component]
    left = [process for process in processes.of_component(stack.home, component) if process.pid != killed]
    psutil.Process(killed).kill()
    wait_until(lambda: supervision.pids(stack.home)[component] not in (0, killed), f"the restart of {component}")
    wait_until(lambda: stack.status().healthy, f"health after the restart of {component}")
    assert not [process for process in left if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]


def test_a_killed_supervisor_is_recovered_from(stack):
    """After kill -9 of the supervisor its components end by themselves, and ``up`` makes all healthy again."""
    supervisor = psutil.Process(int((stack.home.path / "supervisor.pid").read_text()))
    children = supervisor.children()
    supervisor.kill()
    psutil.wait_procs(children, timeout=60)
    assert not [child for child in children if child.is_running()]
    assert not stack.status().healthy
    assert stack.up().healthy


def test_two_at_once_wait_for_each_other(stack):
    """Two ``up`` at the same time, on a stack that is down, start one stack."""
    stack.down()
    script = f"from deploy.embedded import Stack; print(Stack({str(stack.home)!r}).up().healthy)"
    both = [
        subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=CHECKOUT)
        for _ in range(2)
    ]
    assert [process.communicate()[0].strip().splitlines()[-1] for process in both] == ["True", "True"]
    supervisors = [process for process in processes.of_stack(stack.home) if "supervisor.supervisord" in process.cmdline()]
    assert len(supervisors) == 1


def test_the_state_survives(stack):
    """Objects, ports, secrets and the history of runs are there after ``down`` and ``up``."""
    with stack.airflow() as api:
        run = api.trigger("render_spectrograms")
    before = (stack.home.ports(), stack.home.secrets())
    stack.down()
    stack.up()
    assert (stack.home.ports(), stack.home.secrets()) == before
    assert size_of_kept(stack) == 20 * 1024 * 1024
    with stack.airflow() as api:
        assert run in api.runs("render_spectrograms")


def test_a_taken_port_is_gone_around(stack):
    """When another program took a port while the stack was down, the stack moves to another and keeps its objects."""
    stack.down()
    taken = stack.home.ports().store_object
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((LOOPBACK, taken))
        other.listen()
        stack.up()
        assert stack.home.ports().store_object != taken
        assert size_of_kept(stack) == 20 * 1024 * 1024


def test_down_leaves_nothing(stack):
    """After ``down`` no process of the stack is left and all its ports are free again."""
    assert ecg(stack, "down").returncode == 0
    assert processes.of_stack(stack.home) == []
    assert stack.status().components == dict.fromkeys(supervision.COMPONENTS, "stopped")
    assert stack.home.refresh_ports() == stack.home.ports()
