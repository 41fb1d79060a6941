"""Here: requests of any kind to the pages inside Airflow, over a small archive in memory. Not here: who may see them (tests/ecg_ui)."""

import asyncio
import os
import tempfile
import warnings
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock
from urllib.parse import quote, unquote_to_bytes
from uuid import uuid4

from ecg_tasks.archive.object_store import ObjectStore
from tests.fuzz.corpus import beat
from tests.fuzz.memory_s3 import MemoryS3, memory_store

_ENVIRONMENT = {
    "ECG_PATIENT_KEY": "k" * 32,
    "AIRFLOW__API__SECRET_KEY": "k" * 32,
    "AIRFLOW__API_AUTH__JWT_SECRET": "s" * 64,
}
_NAMED = ("TOKEN", "RECORD", "SOURCE", "VERSION", "WAITS")
"""Stand in a request for a valid form token, and for a record, an entry of the quarantine, a version and a waiting file that are there."""
_FORM = "content-type: application/x-www-form-urlencoded\nsec-fetch-site: same-origin\n"
_PATHS = (
    "/",
    "/run?dag_id=classify_records&run_id=manual__2026-03-02T00:00:00%2B00:00",
    "/run?dag_id=ingest_records&run_id=r",
    "/reports?offset=0",
    "/reports/2026-03-02/night",
    "/reports/2026-03-02/night?q=a&decision=normal&recipe=heartbeat&label=none&differs=true&sort=name&descending=1&offset=10",
    "/reports/2026-03-02/night/rows.csv?sort=probability",
    *(f"/reports/2026-03-02/night/files/{kind}" for kind in ("predictions.csv", "summary.json", "fhir-R5.ndjson", "report.zip")),
    "/records/RECORD?start=1.5&date=2026-03-02&run=night",
    "/records/RECORD/beat",
    "/records/RECORD/earlier?other=RECORD&q=a",
    "/review?offset=1",
    "/records/RECORD?reading=true&start=2",
    "/review/verdicts?q=AF&label=normal&disputed=1&offset=0",
    "/review/labels.csv?comments=1",
    "/review?saved=RECORD&at=2026-03-02T00:00:00Z&done=withdrawn",
    "/models",
    "/models/twelve_lead/VERSION",
    "/monitoring?recipe=heartbeat",
    "/quarantine?offset=0",
    "/quarantine?closed=1&reason=flat&offset=50",
    "/quarantine/SOURCE",
    "/quarantine/SOURCE/files/0",
    "/static/style.css",
    "/inbox?offset=0",
    "/answer?run=page__2026-03-02T00:00:00Z-00000000",
    "/first-steps?done=dropped",
    "/help/pages",
    "/help/decisions/README",
    "/nowhere",
)
_POSTS = (
    ("/review", "record_id=RECORD&verdict=normal&comment=x&checked=MI&offered=MI&tags=AF&tags=-PVC&token="),
    ("/records/RECORD/reader", "reader=anna&token="),
    ("/review/undo", "record_id=RECORD&at=2026-03-02T00:00:00Z&token="),
    ("/models/heartbeat/promote", "version=VERSION&why=because&override=&token="),
    ("/models/twelve_lead/rollback", "version=VERSION&why=because&token="),
    ("/models/heartbeat/reject", "version=VERSION&why=because&token="),
    ("/quarantine/SOURCE/retry", "token="),
    ("/quarantine", "entry=SOURCE&act=hidden&token="),
    ("/quarantine", "every=wrong_width&act=put-back&token="),
    ("/quarantine", "entry=SOURCE&act=reopen&every=&token="),
    ("/inbox/delete", "file=WAITS&file=WAITS&token="),
    ("/inbox/release", "file=WAITS&token="),
    ("/answer", "token="),
    ("/first-steps/drop", "token="),
)


def seeds() -> list[bytes]:
    """Requests as text: method and address, headers, an empty line, the body."""
    found = [f"GET {path}\n\n".encode() for path in _PATHS]
    for path, body in _POSTS:
        found += [f"POST {path}\n{_FORM}\n{body}{token}".encode() for token in ("TOKEN", "1.x", "")]
    part = '--b\r\ncontent-disposition: form-data; name="record_id"\r\n\r\nRECORD\r\n--b--\r\n'
    found.append(
        f"POST /review\ncontent-type: multipart/form-data; boundary=b; charset=utf-7\nsec-fetch-site: same-origin\n\n{part}".encode()
    )
    found.append(b'POST /review\ncontent-type: application/json\nsec-fetch-site: same-origin\n\n{"record_id": 1}')
    return found


@contextmanager
def opened() -> Iterator[Any]:
    """The pages' own application over an archive that the tasks of one night wrote; signed in as somebody who may do everything."""
    home = tempfile.mkdtemp(prefix="ecg-fuzz-")
    environment = _ENVIRONMENT | {"ECG_BUCKET": uuid4().hex, "AIRFLOW_HOME": os.environ.get("AIRFLOW_HOME", home)}
    store, client = memory_store()
    with mock.patch.dict(os.environ, environment), mock.patch.object(ObjectStore, "connect", return_value=store), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's and Starlette's own
        _archive(client)
        from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
        from starlette.requests import Request

        from ecg_ui import app as pages
        from ecg_ui import deciding, security

        user = SimpleAuthManagerUser(username="fuzz", role="ADMIN", teams=None)
        app = pages.create_app()
        app.dependency_overrides |= {
            security.may_read: _nothing,
            security.may_decide: _nothing,
            security.may_label: _nothing,
            security.may_ask: _nothing,
            security.may_put_back: _nothing,
            security.may_run: _nothing,
            security.signed_in: lambda: user,
        }
        token = security.form_token(Request({"type": "http", "headers": []}), user)
        there = dict(zip(_NAMED, (token, *_there(client)), strict=True))
        loop = asyncio.new_event_loop()
        before = dict(client.objects)

        def check(data: bytes) -> list[str]:
            if len(client.objects) != len(before) or client.objects != before:
                client.objects.clear()
                client.objects.update(before)
            for name, value in there.items():
                data = data.replace(name.encode(), value.encode())
            return loop.run_until_complete(_answer(app, data))

        # all ask Airflow's database, which is not fuzzed
        run = mock.Mock(return_value="page__2026-03-02T00:00:00Z-00000000")
        asked = mock.patch.multiple(deciding, ask=run, start=run, state_of=mock.Mock(return_value="running"))
        manager = mock.patch.object(security, "get_auth_manager", return_value=SimpleAuthManager())  # a page may have taken `rights` before
        all_of_them = security.Rights(label=True, ask=True, put_back=True, decide=True, forget=True, run=True)
        rights = mock.patch.object(security, "rights", return_value=all_of_them)
        with manager, rights, asked:
            yield check
        loop.close()


def _nothing() -> None:
    """Stand for a check of rights, which the tests of the pages ask."""


def _archive(client: MemoryS3) -> None:
    """One night: recordings and beats, a bad row, a bad file, the shipped champions' decisions and a report."""
    from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
    from ecg_tasks.pipeline.champions import seed
    from ecg_tasks.pipeline.intake import inbox
    from ecg_tasks.signals.sample_drop import sample_drop

    seed.install_champions()
    drop = sample_drop(seed=3, n_patients=2, recordings_per_patient=1)
    inbox.put_files({**drop, "bad.csv": b"<html>", "ward/row.csv": beat(1) + b"\n" + beat(c5="x")}.items())
    ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
    render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
    pin = classify_records.pin_champion("night", date="2026-03-02", scope="all", details=1)
    classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    for key in [key for key in client.objects if key.startswith("staging/")]:
        del client.objects[key]
    client.modified = datetime.now(UTC)
    inbox.put_files([("late.edf.part", b"0")])


def _there(client: MemoryS3) -> tuple[str, str, str, str]:
    """Some record, entry of the quarantine, and version of the archive, and the file that waits."""
    from ecg_tasks.archive import tables
    from ecg_tasks.queries import inbox
    from ecg_tasks.queries.store import open_store

    index = next(data for key, data in client.objects.items() if key.startswith("record_index/"))
    source = next(key for key in client.objects if key.startswith("quarantine/")).split("/")[1]
    version = next(key for key in client.objects if key.startswith("models/twelve_lead/") and key.count("/") > 2).split("/")[2]
    return tables.load(index, ["record_id"])["record_id"][0], source, version, inbox.waiting(open_store()).files[0].id


def _request(data: bytes) -> tuple[dict[str, Any], bytes]:
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.split(b"\n")
    method, _, address = first.partition(b" ")
    path, _, query = address.partition(b"?")
    name = method.decode("latin-1") if method in {b"GET", b"POST", b"HEAD", b"PUT", b"DELETE", b"OPTIONS"} else "GET"
    headers = [(key.strip().lower(), value.strip()) for key, colon, value in (line.partition(b":") for line in lines) if colon]
    decoded = unquote_to_bytes(path).decode("utf-8", "replace")  # as uvicorn does, but that one answers 400 for other bytes
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": name,
        "scheme": "http",
        "path": decoded,
        "raw_path": quote(decoded).encode(),
        "root_path": "",
        "query_string": query,
        "headers": [*headers, (b"host", b"testserver"), (b"accept", b"text/html")],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }
    return scope, body


async def _answer(app: Any, data: bytes) -> list[str]:
    scope, body = _request(data)
    sent: list[MutableMapping[str, Any]] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> MutableMapping[str, Any]:
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)  # what the application does not handle is raised here, and would be a 500
    start, content = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
    status = start["status"]
    assert status in {200, 303, 400, 403, 404, 405, 409}, status
    headers = dict(start["headers"])
    assert b"content-security-policy" in headers
    assert not any(b"\r" in value or b"\n" in value for value in headers.values())
    if status == 303:
        assert headers[b"location"].startswith(b"/"), headers[b"location"]
        assert not headers[b"location"].startswith(b"//")
    if status >= 400 and scope["method"] != "HEAD":
        assert b"<main" in content or b"<h1" in content, content[:200]
    return ["accepted"] if status < 400 else [f"HTTP {status}"]
