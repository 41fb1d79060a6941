"""Here: what a message of a bucket says of the inbox. Not here: the queue (``archive.queue``), or what follows (``inbox_trigger``)."""

from dataclasses import dataclass
from urllib.parse import unquote_plus

import msgspec

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import prepared

_CREATED = ("ObjectCreated:", "s3:ObjectCreated:")
_TEST = "s3:TestEvent"


class _Bucket(msgspec.Struct, frozen=True):
    name: str


class _Object(msgspec.Struct, frozen=True):
    key: str


class _ObjectEntry(msgspec.Struct, frozen=True):
    bucket: _Bucket
    object: _Object


class _Event(msgspec.Struct, frozen=True):
    """What S3 reports of one object."""

    name: str = msgspec.field(name="eventName")
    s3: _ObjectEntry


class _Message(msgspec.Struct, frozen=True):
    """A message: of the set-up, or of objects, each of which is read by itself."""

    event: object = msgspec.field(name="Event", default=None)
    records: list[object] | None = msgspec.field(name="Records", default=None)


@dataclass(frozen=True, kw_only=True)
class Notice:
    """What one message says: the keys that came into the inbox, or why it is none that can be read."""

    keys: tuple[str, ...] = ()
    fault: str = ""


def read_notice(body: str, *, bucket: str) -> Notice:
    """Read the message that S3, or a server that speaks as it, sends when an object was written.

    The test message that S3 sends when notifications are set up, other buckets, other keys and other events say nothing.

    >>> import json
    >>> record = {"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": "b"}, "object": {"key": "inbox/a+%C3%A4.csv"}}}
    >>> read_notice(json.dumps({"Records": [record]}), bucket="b").keys
    ('inbox/a ä.csv',)
    """
    try:
        message = msgspec.json.decode(body, type=prepared(_Message))
    except msgspec.ValidationError:
        return Notice(fault="it is not a JSON object with a list of Records")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return Notice(fault="it is not JSON")
    if message.event == _TEST:
        return Notice()
    if message.records is None:
        return Notice(fault="it has no list of Records")
    found: list[str] = []
    for record in message.records:
        try:
            event = msgspec.convert(record, prepared(_Event))
            key = unquote_plus(event.s3.object.key, errors="strict")  # messages carry a key as a web form would
        except (msgspec.ValidationError, UnicodeDecodeError) as error:
            return Notice(keys=tuple(found), fault=f"one of its Records cannot be read: {type(error).__name__}")
        if event.name.startswith(_CREATED) and event.s3.bucket.name == bucket and key.startswith(keys.INBOX) and not key.endswith("/"):
            found.append(key)
    return Notice(keys=tuple(found))
