"""The watcher by a queue, against a server that really sends S3's notifications over HTTP."""

import asyncio
import contextlib
import json
import uuid

import boto3
import inbox_trigger
import pytest
from inbox_trigger import InboxQueueTrigger, InboxTrigger, chosen_trigger

from ecg_tasks.archive.queue import MessageQueue
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline.intake import inbox


@pytest.fixture
def sqs(sqs_server, bucket, monkeypatch):
    """A client of the queues that the bucket's server knows."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", sqs_server)
    monkeypatch.setattr(inbox_trigger, "LONG_POLL_S", 1)
    client = boto3.session.Session().client("sqs")
    yield client
    client.close()


@pytest.fixture
def queue(sqs, bucket):
    """Address of a queue that the bucket tells of everything that is written into it."""
    name = f"inbox-{uuid.uuid4().hex}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
    bucket._client.put_bucket_notification_configuration(Bucket=bucket.bucket, NotificationConfiguration=told)
    return url


def left(sqs, queue) -> tuple[int, int]:
    """Messages that wait, and those that were received and not deleted."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=names)["Attributes"]
    return int(found[names[0]]), int(found[names[1]])


async def next_event(events, *, within_s: float = 300.0):
    """The next event."""
    return (await asyncio.wait_for(anext(events), within_s)).payload


@contextlib.asynccontextmanager
async def listening(events):
    """Let the watcher go on after its last event, as the triggerer does, which asks for the next at once."""
    waiting = asyncio.ensure_future(anext(events))
    yield waiting
    waiting.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await waiting


async def until(condition):
    """Wait until something is so."""
    async with asyncio.timeout(300):
        while not condition():  # noqa: ASYNC110 - the server sends no event
            await asyncio.sleep(0.1)


def trigger(queue) -> InboxQueueTrigger:
    """A watcher that is as quick as a test wants it."""
    return InboxQueueTrigger(queue, quiet_s=1, patience_s=2.0)


def test_a_drop_fires_once_and_is_deleted_after(sqs, queue):
    """Files that come together are one event; their messages are there until it was taken, and gone when the next is asked for."""

    async def run():
        inbox.put_files([("ward 7/größe+.csv", b"1"), ("b.csv", b"2"), ("b.csv", b"3")])
        events = trigger(queue).run()
        assert await next_event(events) == {"inbox": 2}
        assert left(sqs, queue) == (0, 4)  # and S3's test event
        async with listening(events) as following:
            await until(lambda: left(sqs, queue) == (0, 0))
            await asyncio.sleep(2)
            assert not following.done()

    asyncio.run(run())


def test_what_is_elsewhere_and_what_is_malformed_fires_nothing(sqs, queue, bucket, capsys):
    """The test event, other keys and rubbish are deleted; rubbish is logged, by its length and not its content."""
    bucket.put("records/x.parquet", b"1")
    for body in ("rubbish", "{}", json.dumps({"Records": [{"eventName": "secret"}]})):
        sqs.send_message(QueueUrl=queue, MessageBody=body)

    async def run():
        async with listening(trigger(queue).run()) as following:
            await until(lambda: left(sqs, queue) == (0, 0))
            assert not following.done()

    asyncio.run(run())
    told = capsys.readouterr().out
    assert told.count("is dropped") == 3
    assert "rubbish" not in told
    assert "secret" not in told


def test_redelivery_fires_again_and_harms_nothing(sqs, queue, bucket, monkeypatch):
    """A watcher that died before it deleted its messages is told again; the run that follows finds what there is."""
    monkeypatch.setattr(inbox_trigger, "HIDDEN_S", 1)

    async def run():
        inbox.put_files([("a.csv", b"1")])
        first = trigger(queue).run()
        assert await next_event(first) == {"inbox": 1}
        await first.aclose()
        events = trigger(queue).run()
        assert await next_event(events) == {"inbox": 1}
        async with listening(events):
            await until(lambda: left(sqs, queue) == (0, 0))

    asyncio.run(run())


def test_outlives_the_queue(sqs, bucket, capsys, monkeypatch):
    """A queue that is not there is told once; when it comes, it is read."""
    name = f"late-{uuid.uuid4().hex}"
    url = f"{sqs.meta.endpoint_url}/123456789012/{name}"
    asked = []
    receive = MessageQueue.receive

    def counted(connection, **arguments):
        asked.append(connection)
        return receive(connection, **arguments)

    monkeypatch.setattr(MessageQueue, "receive", counted)

    async def run():
        async with listening(trigger(url).run()) as coming:
            await until(lambda: len(asked) >= 3)
            assert not coming.done()
            sqs.create_queue(QueueName=name)
            s3 = {"bucket": {"name": bucket.bucket}, "object": {"key": "inbox/a"}}
            sqs.send_message(QueueUrl=url, MessageBody=json.dumps({"Records": [{"eventName": "ObjectCreated:Put", "s3": s3}]}))
            assert (await asyncio.wait_for(asyncio.shield(coming), 300)).payload == {"inbox": 1}

    asyncio.run(run())
    said = capsys.readouterr().out
    assert said.count("The queue cannot be read") == 1
    assert said.count("The queue can be read again") == 1


def test_one_setting_chooses(monkeypatch):
    """Without the variable the inbox is looked at; an address that is none is refused."""
    monkeypatch.delenv("ECG_INBOX_QUEUE", raising=False)
    assert isinstance(chosen_trigger(), InboxTrigger)
    monkeypatch.setenv("ECG_INBOX_QUEUE", "https://sqs.eu-central-1.amazonaws.com/1/inbox")
    chosen = chosen_trigger()
    assert isinstance(chosen, InboxQueueTrigger)
    assert chosen.queue == "https://sqs.eu-central-1.amazonaws.com/1/inbox"
    monkeypatch.setenv("ECG_INBOX_QUEUE", "inbox")
    with pytest.raises(ConfigurationError, match="ECG_INBOX_QUEUE"):
        chosen_trigger()


def test_a_drop_fires_in_time():
    """In the worst case the event comes 6 s after the first message, which leaves 4 s for the run to start."""
    chosen = InboxQueueTrigger("https://queue")
    assert chosen.quiet_s + chosen.patience_s <= 6.0


def test_is_made_again_from_its_description():
    """The triggerer makes the same watcher from what the database holds."""
    from airflow.sdk.module_loading import import_string

    path, arguments = InboxQueueTrigger("https://queue", quiet_s=3, patience_s=5.0).serialize()
    again = import_string(path)(**arguments)
    assert again.serialize() == (path, arguments)
