"""Here: what must come out of the stack of ``docker-compose.yaml`` while it runs. Not here: building and starting it (``compose_run.sh``).

Called by ``compose_run.sh`` with the command that is Compose as arguments. It drops the demonstration's recordings, follows the DAGs,
compares every decision and probability with those of the same steps run in one process against an in-memory bucket, and knocks as another
user at the store's inner servers. It lets the GPU's worker train where it was started, kills a worker in the middle of a task and measures
how long its task waits for another, and kills the broker while tasks run and others wait in it.
"""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from deploy.compose.store import PORTS  # noqa: E402 - the checkout is no installed package
from deploy.embedded.airflow_api import AirflowApi  # noqa: E402
from ecg_tasks.cli.demo import N_PATIENTS, SEED  # noqa: E402
from ecg_tasks.signals.sample_drop import sample_drop  # noqa: E402

RETRY_WITHIN_S = 60
RETRAINING = {"recipe": "twelve_lead", "epochs": 3}
KILL_SEED = 7
BROKER_SEED = 8


def main(compose: list[str]) -> None:
    """Run everything; an assertion that does not hold ends it."""
    api = AirflowApi(ui=os.environ["ECG_UI_URL"], login="admin", password=os.environ["ECG_ADMIN_PASSWORD"])
    wait_for_dags(api)
    files = sample_drop(seed=SEED, n_patients=N_PATIENTS, recordings_per_patient=1)
    known = {dag: set(api.runs(dag)) for dag in ("ingest_records", "render_spectrograms")}
    began = time.monotonic()
    put(compose, files)
    for dag, before in known.items():
        follow_own_runs(api, compose, dag, before)
    run = classify(api)
    say(f"drop to report: {time.monotonic() - began:.1f} s, {len(files)} files")
    if not report_of(compose, run)["rows"]:  # the shipped models are of other recipes than the source: let this stack train one
        follow(api, "retrain_model", api.trigger("retrain_model", RETRAINING))
        run = classify(api)
    compare(report_of(compose, run), in_one_process(models_of(compose)))
    knock_as_a_stranger(compose)
    if "gpu" in os.environ["COMPOSE_PROFILES"].split(","):
        train_on_the_gpu_worker(api, compose)
    kill_a_worker(api, compose)
    kill_the_broker(api, compose)


def say(sentence: str) -> None:
    """Tell what was seen."""
    print(f"compose: {sentence}", flush=True)  # noqa: T201 - this is a program


def wait_for_dags(api: AirflowApi) -> None:
    """All DAGs are read, and none with an error."""
    wanted = {path.stem for path in (ROOT / "dags").glob("*.py")} - {"ecg_approval", "ecg_assets", "ecg_defaults"}
    deadline = time.monotonic() + 120
    while missing := wanted - set(api.dags()):
        assert time.monotonic() < deadline, f"not read: {missing}; {api.import_errors()}"
        time.sleep(1)
    assert not api.import_errors()


def put(compose: list[str], files: dict[str, bytes]) -> None:
    """Drop files as a person would: an archive into a worker."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    in_worker(compose, "-m", "deploy.compose.put", data=archive.getvalue())


def put_for_one_intake(api: AirflowApi, compose: list[str], files: dict[str, bytes]) -> str:
    """Drop files while nothing is taken over, then start an intake of all of them; returns its run."""
    dag = "ingest_records"
    api._request("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": True})
    put(compose, files)
    api._request("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": False})
    return api.trigger(dag)


def in_worker(compose: list[str], *arguments: str, data: bytes = b"", service: str = "worker") -> bytes:
    """Run the worker's Python."""
    return subprocess.run([*compose, "exec", "-T", service, "python", *arguments], input=data, capture_output=True, check=True).stdout


def follow_own_runs(api: AirflowApi, compose: list[str], dag: str, known: set[str], timeout_s: float = 120) -> None:
    """Wait for the runs that a DAG starts by itself, until it rests and nothing waits for the next intake."""
    followed, deadline = set[str](), time.monotonic() + timeout_s
    while True:
        states = api.runs(dag)
        if fresh := [run for run in states if run not in known | followed]:
            follow(api, dag, fresh[-1])  # the oldest: they run one at a time
            followed.add(fresh[-1])
            deadline = time.monotonic() + timeout_s
        elif followed and not int(in_worker(compose, "-c", _WAITING)):
            return
        assert time.monotonic() < deadline, f"{dag} did not start by itself within {timeout_s:.0f} s"
        time.sleep(0.5)


def classify(api: AirflowApi) -> str:
    """A run over all records."""
    run = api.trigger("classify_records", {"scope": "all"})
    follow(api, "classify_records", run)
    return run


def follow(api: AirflowApi, dag: str, run: str, timeout_s: float = 900) -> None:
    """Wait for a run's good end."""
    began = time.monotonic()
    while (state := api.run_state(dag, run)) != "success":
        assert state != "failed", f"{dag} {run} failed: {api.task_states(dag, run)}"
        assert time.monotonic() - began < timeout_s, f"{dag} {run} still {state}: {api.task_states(dag, run)}"
        time.sleep(0.5)
    say(f"{dag}: {len(api.task_states(dag, run))} tasks, {time.monotonic() - began:.1f} s")


_TOLD = """
import json, sys
from ecg_tasks.archive.workspace import open_store
def tell(store, report):
    folder = report.rsplit("/", 1)[0] + "/"
    counts = json.loads(store.get(folder + "summary.json"))["counts"]
    pages = [key.removeprefix(folder) for key in store.list_keys(folder)]
    json.dump({"counts": counts, "pages": pages, "predictions": store.get(folder + "predictions.csv").decode()}, sys.stdout)
"""


_REPORT = """
from ecg_tasks.archive import keys
store = open_store()
tell(store, json.loads(store.get(keys.manifest("classify_records", keys.run_key(sys.argv[1]))))["report"])
"""


_WAITING = """
from ecg_tasks.archive.workspace import open_store
print(len(open_store().list_keys("inbox/")))
"""


_ACCOUNT = """
import json, sys
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.archive import keys
json.dump(json.loads(open_store().get(keys.manifest("ingest_records", keys.run_key(sys.argv[1]))))["account"], sys.stdout)
"""


_MODELS = """
import sys, tarfile, io
from ecg_tasks.archive.workspace import open_store
store = open_store()
with tarfile.open(fileobj=sys.stdout.buffer, mode="w|") as tar:
    for key in store.list_keys("models/"):
        member = tarfile.TarInfo(key)
        content = store.get(key)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
"""


def models_of(compose: list[str]) -> bytes:
    """A tar of everything below models/ in the bucket: both sides decide by the same versions."""
    return in_worker(compose, "-c", _MODELS)


def report_of(compose: list[str], run: str) -> dict[str, Any]:
    """A run's report: ``counts``, ``pages`` (names) and ``rows`` of predictions.csv."""
    return told(in_worker(compose, "-c", _TOLD + _REPORT, run))


def told(output: bytes) -> dict[str, Any]:
    """What `_TOLD` printed."""
    report = json.loads(output)
    return report | {"rows": list(csv.DictReader(io.StringIO(report["predictions"])))}


_STEPS = """
import sys, tarfile
from moto import mock_aws
with mock_aws():
    from ecg_tasks.cli.demo import N_PATIENTS, SEED
    from ecg_tasks.actions.inbox import put_in_order
    from ecg_tasks.signals.sample_drop import sample_drop
    from ecg_tasks.pipeline import classify_records as classify, ingest_records as ingest, render_spectrograms as render
    from ecg_tasks.archive.workspace import open_store
    store = open_store()
    store.create_bucket()
    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|") as tar:
        for member in tar:
            store.put(member.name, tar.extractfile(member).read())
    put_in_order(list(sample_drop(seed=SEED, n_patients=N_PATIENTS, recordings_per_patient=1).items()))
    ingest.publish("r", [ingest.ingest_batch(job) for job in ingest.plan("r")])
    render.publish("r", [render.render_shard(job) for job in render.plan("r")])
    pin = classify.pin_champion("r", date="2026-01-01", scope="all", details=200)
    tell(store, classify.write_report(pin, [classify.classify_shard(job) for job in classify.plan(pin)]))
"""


def in_one_process(models: bytes) -> dict[str, Any]:
    """The report of the same steps on the same recordings, without containers, Airflow or Swift."""
    foreign = ("AWS_", "AIRFLOW", "ECG_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
    environment |= {"ECG_BUCKET": "ecg", "ECG_PATIENT_KEY": os.environ["ECG_PATIENT_KEY"], "PYTHONPATH": str(ROOT)}
    environment |= {"AWS_ACCESS_KEY_ID": "moto", "AWS_SECRET_ACCESS_KEY": "moto", "AWS_DEFAULT_REGION": "us-east-1"}
    done = subprocess.run([sys.executable, "-c", _TOLD + _STEPS], env=environment, input=models, stdout=subprocess.PIPE, check=True)
    return told(done.stdout)


def compare(our_report: dict[str, Any], their_report: dict[str, Any]) -> None:
    """The report of the demonstration's recordings is the same: its counts, its pages (by name) and its rows.

    Every column of every record agrees as text but those that name the run; the numbers are written in full.
    """
    assert our_report["counts"] == their_report["counts"]
    assert our_report["pages"] == their_report["pages"]
    ours, theirs = our_report["rows"], their_report["rows"]
    assert len(ours) == len(theirs) >= N_PATIENTS
    by_id = {row["record_id"]: row for row in theirs}
    differing = {column for row in ours for column, value in row.items() if by_id[row["record_id"]][column] != value}
    assert not differing & {"decision", "probability", "recipe", "version", "quality", "label"}, differing
    decisions = {decision: sum(row["decision"] == decision for row in ours) for decision in sorted({row["decision"] for row in ours})}
    say(f"{len(ours)} records, each with the decision and probability of the in-process run: {json.dumps(decisions)}")
    say(f"columns that differ: {', '.join(sorted(differing)) or 'none'}; counts and all {len(our_report['pages'])} pages the same")


_BUILD = """
import json, sys
import tensorflow as tf
made = tf.sysconfig.get_build_info()
json.dump({name: made.get(name) for name in ("is_cuda_build", "cuda_version", "cudnn_version")}, sys.stdout)
"""


_KNOCK = """
import http.client, json, sys
answers = {}
for port in map(int, sys.argv[1:]):
    for method in ("GET", "PUT", "DELETE", "REPLICATE", "OPTIONS"):
        for path in ("/", "/info", "/recon/version", "/disk/0/AUTH_ecg", "/disk/0/AUTH_ecg/ecg", "/disk/0/AUTH_ecg/ecg/models"):
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            asked.request(method, path)
            answer = asked.getresponse()
            answers[f"{port} {method} {path}"] = answer.status, answer.read().decode()
print(json.dumps(answers))
"""


def knock_as_a_stranger(compose: list[str]) -> None:
    """Another user inside the store's container gets 403 and nothing else from the account, container and object servers."""
    ports = [str(port) for port in (PORTS.store_account, PORTS.store_container, PORTS.store_object)]
    command = [*compose, "exec", "-T", "--user", "12345:12345", "store", "python3.11", "-I", "-c", _KNOCK, *ports]
    answers = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert {tuple(answer) for answer in answers.values()} == {(403, "")}, answers
    say(f"a stranger's {len(answers)} requests to the store's inner servers were all refused")


def train_on_the_gpu_worker(api: AirflowApi, compose: list[str]) -> None:
    """The task that trains, and no other, runs in the GPU's worker, whose TensorFlow was built for CUDA."""
    built = json.loads(in_worker(compose, "-c", _BUILD, service="worker-gpu"))
    assert built["is_cuda_build"], built
    run = api.trigger("retrain_model", RETRAINING | {"policy": "refresh"})
    follow(api, "retrain_model", run)
    host = of_container(compose, "worker-gpu", "{{.Config.Hostname}}")
    path = f"/api/v2/dags/retrain_model/dagRuns/{run}/taskInstances"
    ran = {(one["task_id"], one["queue"]) for one in api._request("GET", path).json()["task_instances"] if one["hostname"] == host}
    assert ran == {("train", "gpu")}, ran
    say(f"the GPU's worker trained, and ran nothing else; its TensorFlow: {json.dumps(built)}")


def kill_a_worker(api: AirflowApi, compose: list[str]) -> None:
    """Of two workers the one that ingests is killed; its task is tried again by the other."""
    subprocess.run([*compose, "up", "-d", "--no-build", "--no-recreate", "--wait", "--scale", "worker=2"], check=True, capture_output=True)
    dag, task = "ingest_records", "ingest_batch"
    run = put_for_one_intake(api, compose, sample_drop(seed=KILL_SEED, n_patients=N_PATIENTS, recordings_per_patient=2))
    victim = wait_for_work(api, dag, task, run)[0]
    killed_at = time.time()
    subprocess.run(["docker", "kill", "--signal", "KILL", victim["hostname"]], check=True, capture_output=True)
    say(f"killed worker {victim['hostname']} in the middle of {task}")
    while True:
        again = [
            one
            for one in instances(api, dag, task)
            if one["try_number"] > 1
            and one["dag_run_id"] == victim["dag_run_id"]
            # until the second try has begun, the task is shown with the first one's start and worker
            and one["start_date"]
            and datetime.fromisoformat(one["start_date"]).timestamp() > killed_at
        ]
        if again:
            break
        assert time.time() - killed_at < 5 * RETRY_WITHIN_S, "no retry came"
        time.sleep(0.5)
    waited_s = datetime.fromisoformat(again[0]["start_date"]).timestamp() - killed_at
    assert again[0]["hostname"] != victim["hostname"]
    assert waited_s < RETRY_WITHIN_S, f"the retry started after {waited_s:.1f} s"
    say(f"its task was tried again by {again[0]['hostname']} after {waited_s:.1f} s")
    follow(api, dag, victim["dag_run_id"])


def kill_the_broker(api: AirflowApi, compose: list[str]) -> None:
    """Redis is killed while tasks run and others wait in it; it comes back by itself, every task ends well, and the account adds up."""
    subprocess.run([*compose, "up", "-d", "--no-build", "--no-recreate", "--wait", "--scale", "worker=1"], check=True, capture_output=True)
    dag, task = "ingest_records", "ingest_batch"
    known = {one: set(api.runs(one)) for one in (dag, "render_spectrograms")}
    run = put_for_one_intake(api, compose, sample_drop(seed=BROKER_SEED, n_patients=N_PATIENTS, recordings_per_patient=2))
    at_work = wait_for_work(api, dag, task, run)
    waiting = sum(state in ("queued", "scheduled") for name, state in api.task_states(dag, run) if name == task)
    killed_at = time.monotonic()
    os.kill(int(of_container(compose, "redis", "{{.State.Pid}}")), signal.SIGKILL)  # `docker kill` would count as stopped on purpose
    say(f"killed the broker while {len(at_work)} of {task} ran and {waiting} waited")
    while of_container(compose, "redis", "{{.RestartCount}} {{.State.Health.Status}}") != "1 healthy":
        assert time.monotonic() - killed_at < RETRY_WITHIN_S, "the broker did not come back"
        time.sleep(0.5)
    say(f"it was healthy again after {time.monotonic() - killed_at:.1f} s")
    follow(api, dag, run)
    say(f"the run ended {time.monotonic() - killed_at:.1f} s after it")
    for one, before in known.items():
        follow_own_runs(api, compose, one, before)
    account = json.loads(in_worker(compose, "-c", _ACCOUNT, run))
    assert account["received"] == account["records"] + account["duplicates"] + account["quarantined"] > 0, account
    follow(api, "classify_records", api.trigger("classify_records", {"scope": "new"}))
    say(f"its account: {json.dumps(account)}")


def wait_for_work(api: AirflowApi, dag: str, task: str, run: str, timeout_s: float = 300) -> list[dict[str, str]]:
    """Wait until instances of a run's task run; returns these."""
    deadline = time.monotonic() + timeout_s
    while not (found := [one for one in instances(api, dag, task, state="running") if one["dag_run_id"] == run]):
        assert time.monotonic() < deadline, f"{task} did not start within {timeout_s:.0f} s"
        time.sleep(0.2)
    return found


def of_container(compose: list[str], service: str, form: str) -> str:
    """What Docker says of the one container of a service."""
    (container,) = subprocess.run([*compose, "ps", "-q", service], capture_output=True, text=True, check=True).stdout.split()
    return subprocess.run(["docker", "inspect", "-f", form, container], capture_output=True, text=True, check=True).stdout.strip()


def instances(api: AirflowApi, dag: str, task: str, state: str | None = None) -> list[dict[str, str]]:
    """Task instances of every run, the newest first."""
    params = {"task_id": task, "limit": 20, "order_by": "-start_date"} | ({"state": state} if state else {})
    found = api._request("GET", f"/api/v2/dags/{dag}/dagRuns/~/taskInstances", params=params).json()["task_instances"]
    return [one for one in found if one["task_id"] == task]


if __name__ == "__main__":
    main(sys.argv[1:])
