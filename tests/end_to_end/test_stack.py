"""Here: the embedded stack, started for real: health, safety, restarts, recovery. Not here: the DAGs at work, a stop
(``test_backup``), the death of the supervisor (``test_queue``).

The tests run in their order; each leaves the stack healthy.
"""

import io
import json
import os
from contextlib import contextmanager, suppress

import httpx
import psutil
import pytest
from botocore.exceptions import ClientError

from deploy.embedded import object_store, processes, supervision
from deploy.embedded.home import CHECKOUT, LOOPBACK
from ecg_tasks.names import DagId

KEPT = "kept/größe=20 MB.bin"
WAVES = {
    "data": ("postgres", *object_store.COMPONENTS),  # Airflow lives, and finds its database and the bucket again
    "pages and DAGs": ("api-server", "dag-processor"),
    "tasks and watchers": ("scheduler", "triggerer", supervision.GUARDIAN),
}
"""Every component, in groups that are killed at once: what a group needs of the others is there meanwhile."""

pytestmark = [pytest.mark.stack, pytest.mark.chain("stack"), pytest.mark.timeout(3600)]


@pytest.fixture(scope="module", autouse=True)
def _up(ecg):
    ecg("up")


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


def test_everything_is_healthy(stack, try_ecg, wait_until):
    """After ``up`` every component runs and answers, and ``status --json`` says so with exit status 0.

    It gives each part about a second. On a busy machine one may need longer, so it may be asked again.
    """
    answers = []
    wait_until(lambda: answers.append(try_ecg("status", "--json")) or answers[-1].returncode == 0, "exit status 0", patience_s=60)
    done = answers[-1]
    status = json.loads(done.stdout)
    assert status["healthy"] is True
    assert set(status["components"]) == set(supervision.COMPONENTS)
    assert set(status["components"].values()) == {"running"}
    assert status["ui"] == stack.ui
    assert status["bucket"] == "s3://ecg"
    assert status["endpoint"] == object_store.endpoint(stack.home)
    assert stack.password not in done.stdout


def test_the_login_is_shown_by_open_in_a_terminal_only(stack, ecg):
    """``open`` prints where the web interface is; its password goes into no pipe, but the line says where it is."""
    shown = ecg("open")
    assert stack.ui in shown
    assert stack.password not in shown
    assert f"admin_password in {stack.home}/secrets.json" in shown


def test_another_name_is_refused_and_every_answer_has_its_headers(stack):
    """As a browser that was led here by another site's name sends it; tasks go on asking by this machine's address."""
    for path in ("/", "/ecg/", "/execution/health", "/api/v2/version"):
        answer = httpx.get(f"{stack.ui}{path}", headers={"host": "evil.example"}, trust_env=False)
        assert answer.status_code == 400
        answer = httpx.get(f"{stack.ui}{path}", trust_env=False)
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in answer.headers["content-security-policy"]


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


def test_a_task_and_what_reads_for_it_know_no_secret_that_they_do_not_need(stack, wait_until):
    """A worker, of which every task is a fork, has the keys to the bucket and the patients' key; what reads files has none at all."""
    held = {value: name for name, value in vars(stack.home.secrets()).items()}

    def known():
        found: dict[str, set[frozenset[str]]] = {"airflow worker": set(), "ecg_tasks.parsing": set()}
        for process in processes.of_component(stack.home, "scheduler"):
            with suppress(psutil.NoSuchProcess):  # a task that ended meanwhile
                command, told = " ".join(process.cmdline()), " ".join(process.environ().values())
                kind = next((kind for kind in found if kind in command), "")
                if kind:
                    found[kind].add(frozenset(name for value, name in held.items() if value in told))
        return found

    with stack.airflow() as api:
        wait_until(lambda: DagId.INGEST_RECORDS in api.active_dags(), "the DAG")
        run = api.trigger(DagId.INGEST_RECORDS)  # workers begin with a task, and end after a minute without one
        wait_until(lambda: api.run_state(DagId.INGEST_RECORDS, run) == "success", "the end of the run")
    assert known() == {"airflow worker": {frozenset({"s3_access_key", "s3_secret_key", "patient_key"})}, "ecg_tasks.parsing": {frozenset()}}


def test_the_pools_are_there(stack):
    """The pool ``cpu`` has two slots a core, ``gpu`` one."""
    with stack.airflow() as api:
        pools = {pool["name"]: pool["slots"] for pool in api._request("GET", "/api/v2/pools").json()["pools"]}
    assert pools["cpu"] == 2 * (os.cpu_count() or 1)
    assert pools["gpu"] == 1


def test_airflow_reads_every_dag(stack, wait_until):
    """The DAG of every file that defines one is there, and none of the files has an error."""
    wanted = {file.stem for file in (CHECKOUT / "dags").glob("*.py") if "\n@dag(" in file.read_text(encoding="utf-8")}
    assert wanted
    with stack.airflow() as api:
        wait_until(lambda: wanted <= set(api.dags()), "reading of the DAGs")
        assert api.import_errors() == {}


def test_identifiers_are_not_taken_out_where_the_settings_keep_them_and_no_dag_stays_paused(stack, try_ecg, wait_until):
    """The command pauses the DAGs, is refused for a setting, and lets go those that were not paused before; also after it was killed."""
    with stack.airflow() as api:
        wait_until(lambda: len(api.active_dags()) == len(DagId), "every DAG")
        api.pause(DagId.MAINTAIN_STORE, paused=True)
        before = set(api.active_dags())
        assert before == set(DagId) - {DagId.MAINTAIN_STORE}
        (stack.home.path / "paused-dags.json").write_text('["maintain_store"]')  # of a command that was killed
        done = try_ecg("deidentify", "--yes")
        assert (done.returncode, "ECG_KEEP_NAMES" in done.stderr) == (1, True)
        assert set(api.active_dags()) == set(DagId)
        assert not (stack.home.path / "paused-dags.json").exists()


def test_a_bucket_that_is_gone_is_gone_at_once(stack):
    """The store remembers its buckets, and forgets one that is deleted: nothing can be written into it until it is made again."""
    with client(stack) as s3:
        for _ in range(2):
            s3.create_bucket(Bucket="passing")
            s3.put_object(Bucket="passing", Key="one", Body=b"one")
            assert s3.get_object(Bucket="passing", Key="one")["Body"].read() == b"one"
            s3.delete_object(Bucket="passing", Key="one")
            s3.delete_bucket(Bucket="passing")
            with pytest.raises(s3.exceptions.NoSuchBucket):
                s3.put_object(Bucket="passing", Key="two", Body=b"two")


def test_no_write_returns_before_it_can_be_listed(stack, wait_until):
    """While the servers of data and listings are away a write fails, also into a bucket that was used just now.

    Nobody would find the object.
    """
    with client(stack) as s3:
        s3.put_object(Bucket="ecg", Key="listed/before", Body=b"1")
        assert s3.get_object(Bucket="ecg", Key="listed/before")["Body"].read() == b"1"
        supervision.stop_component(stack.home, "store-data")
        try:
            with pytest.raises(ClientError):
                s3.put_object(Bucket="ecg", Key="listed/away", Body=b"2")
        finally:
            supervision.start_components(stack.home, ["store-data"])
        wait_until(lambda: stack.status().healthy, "health")
        s3.put_object(Bucket="ecg", Key="listed/after", Body=b"3")
        keys = [item["Key"] for item in s3.list_objects_v2(Bucket="ecg", Prefix="listed/")["Contents"]]
        assert keys == ["listed/after", "listed/before"]
        for key in keys:
            s3.delete_object(Bucket="ecg", Key=key)


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


def test_every_component_is_in_a_wave():
    """None is left out of the killing, and none is killed twice."""
    assert sorted(component for wave in WAVES.values() for component in wave) == sorted(supervision.COMPONENTS)


def runs(process):
    """Whether a process still does something."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("wave", WAVES)
def test_killed_components_come_back(stack, wave, wait_until):
    """After kill -9 of some components at once the whole stack is healthy again by itself, with its objects; nothing of them is left."""
    killed = {component: supervision.pids(stack.home)[component] for component in WAVES[wave]}
    left = [process for component, pid in killed.items() for process in processes.of_component(stack.home, component) if process.pid != pid]
    for pid in killed.values():
        psutil.Process(pid).kill()
    wait_until(
        lambda: all(supervision.pids(stack.home)[component] not in (0, pid) for component, pid in killed.items()),
        f"the restart of {', '.join(killed)}",
    )
    wait_until(lambda: stack.status().healthy, f"health after the restart of {', '.join(killed)}")
    wait_until(lambda: not any(map(runs, left)), "the end of what they had started", patience_s=30)
    assert size_of_kept(stack) == 20 * 1024 * 1024


def test_a_killed_supervisor_comes_back(stack, wait_until):
    """The guardian starts the whole stack again after kill -9 of the supervisor; nothing of the old one is left, and nothing runs twice."""
    old, before = supervision.pid(stack.home), processes.of_stack(stack.home)
    psutil.Process(old).kill()
    wait_until(lambda: supervision.pid(stack.home) not in (0, old), "a new supervisor")
    wait_until(lambda: stack.status().healthy, "health under a new supervisor")
    wait_until(lambda: not any(map(runs, before)), "the end of the old processes", patience_s=60)

    def counted():
        commands = [" ".join(process.cmdline()) for process in processes.of_stack(stack.home)]
        return [sum(word in one for one in commands) for word in ("supervisor.supervisord", "deploy.embedded.guardian")]

    wait_until(lambda: all(counted()), "a guardian of the new supervisor")
    assert counted() == [1, 1]
    assert size_of_kept(stack) == 20 * 1024 * 1024
