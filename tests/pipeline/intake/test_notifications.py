"""What a message says of the inbox: keys as they are in the bucket, and no message that stops the watcher."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ecg_tasks.pipeline.intake.notifications import Notice, read_notice


def _record(key="inbox/a.csv", *, event="ObjectCreated:Put", bucket="b"):
    return {"eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}


def _body(*records) -> str:
    return json.dumps({"Records": list(records)})


@pytest.mark.parametrize(
    ("record", "keys"),
    [
        pytest.param(_record(), ("inbox/a.csv",), id="put"),
        pytest.param(_record(event="s3:ObjectCreated:CompleteMultipartUpload"), ("inbox/a.csv",), id="another server's spelling"),
        pytest.param(_record("inbox/ward+7/gr%C3%B6%C3%9Fe%2B.csv"), ("inbox/ward 7/größe+.csv",), id="encoded"),
        pytest.param(_record(event="ObjectRemoved:Delete"), (), id="removed"),
        pytest.param(_record(bucket="other"), (), id="another bucket"),
        pytest.param(_record("records/a.parquet"), (), id="another prefix"),
        pytest.param(_record("inbox/"), (), id="a folder's marker"),
    ],
)
def test_what_a_record_says(record, keys):
    """Only objects that were written into the inbox of our bucket count."""
    assert read_notice(_body(record), bucket="b") == Notice(keys=keys)


def test_the_test_event_says_nothing():
    """S3 sends it when notifications are set up; it is no fault either."""
    body = json.dumps({"Service": "Amazon S3", "Event": "s3:TestEvent", "Time": "2026-01-01T00:00:00.000Z", "Bucket": "b"})
    assert read_notice(body, bucket="b") == Notice()


@pytest.mark.parametrize(
    "body",
    [
        "",
        "no JSON",
        "[]",
        "null",
        "{}",
        '{"Records": 7}',
        '{"Records": [7]}',
        '{"Records": [{}]}',
        _body(_record(7)),
        _body(_record("inbox/%ff")),
        "[" * 100_000,
    ],
)
def test_malformed_messages_have_a_fault(body):
    """Each is told as a fault, and none raises."""
    assert read_notice(body, bucket="b").fault


def test_what_was_read_before_a_fault_counts():
    """A record that cannot be read does not take the others with it."""
    found = read_notice(_body(_record(), {}), bucket="b")
    assert found.keys == ("inbox/a.csv",)
    assert found.fault


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["Records", "Event", "eventName", "s3", "bucket", "object", "key", "name"]), inner)
    ),
)


@given(_JSON)
def test_nothing_raises(value):
    """Whatever JSON comes, it is read or told as a fault."""
    read_notice(json.dumps(value), bucket="b")
