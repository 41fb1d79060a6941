"""The whole stack over a bucket elsewhere that tells a queue of drops: a run starts because of a message, and because of nothing else.

Then the way back to the stack's own bucket: what a killed supervisor leaves behind, and what the next start finds.
"""

import json
import subprocess
import sys

import boto3
import psutil
import pytest

from deploy.embedded import processes, supervision
from deploy.embedded.home import CHECKOUT
from ecg_tasks.archive import keys

pytestmark = [pytest.mark.stack, pytest.mark.chain("stack"), pytest.mark.timeout(3600)]
BUCKET = "elsewhere"
BEATS = "\n".join(",".join(f"{0.5 + (sample * (row + 3) % 17) / 40:.3f}" for sample in range(187)) for row in range(3))


@pytest.fixture(scope="module")
def clients(stack, s3_server, sqs_server):
    """Clients of servers that are no part of the stack, for buckets and for queues; the environment points at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", s3_server)
        patch.setenv("AWS_ENDPOINT_URL_SQS", sqs_server)
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("ECG_BUCKET", BUCKET)
        session = boto3.session.Session()
        opened = session.client("s3"), session.client("sqs")
        yield opened
        for client in opened:
            client.close()


@pytest.fixture(scope="module")
def queue(clients, ecg):
    """Address of the queue that the bucket tells of its inbox; the stack listens there."""
    s3, sqs = clients
    s3.create_bucket(Bucket=BUCKET)
    url = sqs.create_queue(QueueName="drops")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    only_inbox = {"Key": {"FilterRules": [{"Name": "prefix", "Value": keys.INBOX}]}}
    told = [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"], "Filter": only_inbox}]
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": told})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ECG_INBOX_QUEUE", url)
        ecg("up")
        yield url


@pytest.fixture
def runs(stack):
    """Function that gives the runs of the intake that a message started, with their states."""

    def runs() -> dict[str, str]:
        with stack.airflow() as api:
            return {run: state for run, state in api.runs("ingest_records").items() if run.startswith("asset")}

    return runs


def is_empty(sqs, queue) -> bool:
    """Whether no message waits, nor was received without being deleted."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return all(int(found[name]) == 0 for name in names)


def listed(s3, prefix) -> list[str]:
    """Keys below a prefix."""
    return [item["Key"] for item in s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])]


def test_the_test_event_starts_nothing(clients, queue, runs, wait_until):
    """What S3 sends when notifications are switched on is read, deleted, and starts no run."""
    _, sqs = clients
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": BUCKET}))
    wait_until(lambda: is_empty(sqs, queue), "an empty queue")
    assert runs() == {}


@pytest.fixture
def dropped(queue, ecg, tmp_path):
    """A file that a person puts into the inbox."""
    (tmp_path / "beats.csv").write_text(BEATS)
    ecg("put", tmp_path / "beats.csv")


def test_a_drop_starts_the_intake(clients, queue, dropped, runs, wait_until):
    """A file that is put into the inbox is taken over by a run that its message started."""
    s3, sqs = clients
    wait_until(lambda: "success" in runs().values(), "a run of the intake")
    assert len(listed(s3, keys.RECORDS)) == 1
    assert listed(s3, keys.INBOX) == []
    wait_until(lambda: is_empty(sqs, queue), "an empty queue")


def test_a_message_that_comes_twice_does_no_harm(clients, queue, runs, wait_until):
    """It starts a run that finds nothing to do, and so leaves no account."""
    s3, sqs = clients
    before, known = listed(s3, keys.RECORDS), set(runs())
    event = {
        "eventName": "ObjectCreated:Put",
        "eventSource": "aws:s3",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": "inbox/beats.csv"}},
    }
    sqs.send_message(QueueUrl=queue, MessageBody=json.dumps({"Records": [event]}))
    wait_until(lambda: [state for run, state in runs().items() if run not in known] == ["success"], "a second run")
    (run,) = set(runs()) - known
    assert listed(s3, keys.manifest("ingest_records", keys.run_key(run))) == []
    assert listed(s3, keys.RECORDS) == before


@pytest.fixture(scope="module")
def killed(queue, stack, wait_until):
    """The stack after kill -9 of its supervisor and its guardian, with what it had before: ports, secrets, and the runs that had ended.

    No run is under way: the next start works in another bucket, in which it would look for its results in vain, and hold up the others.
    """
    with stack.airflow() as api:
        at_work = {"running", "queued"}
        wait_until(
            lambda: not at_work.intersection({*api.runs("ingest_records").values(), *api.runs("render_spectrograms").values()}), "rest"
        )
        ended = {run: state for run, state in api.runs("ingest_records").items() if state in ("success", "failed")}
    before = stack.home.ports(), stack.home.secrets(), ended
    supervisor = psutil.Process(int((stack.home.path / "supervisor.pid").read_text()))
    components = supervisor.children()
    assert len(components) > 3
    guardian = psutil.Process(supervision.pids(stack.home)[supervision.GUARDIAN])
    processes.end([supervisor, guardian], grace_s=0)  # halted first: neither sees the other die
    _, alive = psutil.wait_procs(components, timeout=300)
    assert alive == []
    return before


def test_no_component_outlives_the_supervisor(killed, stack):
    """After kill -9 of the supervisor its components end by themselves, the scheduler with its workers, too."""
    assert not stack.is_up()
    assert not stack.status().healthy


def test_the_state_survives(killed, stack):
    """Two starts at once, without the variables, make one stack with its own bucket; ports, secrets and history are as before."""
    ports, secrets, runs = killed
    script = f"from deploy.embedded import Stack; print(Stack({str(stack.home)!r}).up().healthy)"
    with pytest.MonkeyPatch.context() as patch:
        for name in ("ECG_BUCKET", "ECG_INBOX_QUEUE", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_SQS"):
            patch.delenv(name)
        both = [
            subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=CHECKOUT)
            for _ in range(2)
        ]
        assert [process.communicate()[0].strip().splitlines()[-1] for process in both] == ["True", "True"]
        status = stack.status()
    assert len([process for process in processes.of_stack(stack.home) if "supervisor.supervisord" in process.cmdline()]) == 1
    assert status.bucket == "s3://ecg"
    assert set(status.components) == set(supervision.COMPONENTS)
    assert (stack.home.ports(), stack.home.secrets()) == (ports, secrets)
    with stack.airflow() as api:
        known = api.runs("ingest_records")
    assert len(runs) >= 2
    assert {run: known.get(run) for run in runs} == runs
