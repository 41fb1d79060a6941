"""A notice goes out by the ways that are set, through Airflow's own machinery, and holds counts and a link only."""

import asyncio
import json
import logging
import socketserver
import threading
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from report_notifier import ReportNotifier

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import DriftStatus, write_manifest
from ecg_tasks.counts import ReportCounts
from tests import whole_documents

RUN_ID = "manual__2026-01-01T00:00:00+00:00"
COUNTS = dict.fromkeys(ReportCounts.__struct_fields__, 0) | {"received": 12, "records": 10, "classified": 9}
MANIFEST = whole_documents.night(
    keys.run_key(RUN_ID),
    counts=ReportCounts(**COUNTS),
    drift=tuple(
        DriftStatus(recipe=recipe, version="v", state=state, sentence="")
        for recipe, state in (("twelve_lead", "drift"), ("heartbeat", "steady"))
    ),
    audit="5e1f" * 16,
    report="reports/2026-01-01/Smith/index.html",
)


@pytest.fixture
def webhook(monkeypatch):
    """A real server on this machine; ``received`` are the bodies it was posted, ``answer`` its status."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.server.received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(self.server.answer)
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.received, server.answer = [], 204
    server.host = f"127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("ECG_NOTIFY", f"http://{server.host}/hook?token=secret-of-the-hook")
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def reported(bucket):
    """A bucket in which the run has written its manifest."""
    write_manifest(bucket, MANIFEST)
    return bucket


def test_the_webhook_gets_counts_drift_and_a_link_to_the_run(reported, webhook):
    """And nothing that names a file, a record or a person."""
    ReportNotifier(state="success")({"run_id": RUN_ID})
    (told,) = webhook.received
    assert told["state"] == "success"
    assert told["counts"] == COUNTS
    assert told["drift"] == ["twelve_lead"]
    assert told["link"].endswith("/dags/classify_records/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00")
    assert "records: 10" in told["text"]
    assert told["audit"] == MANIFEST.audit
    assert set(told) == {"event", "state", "counts", "drift", "audit", "link", "text"}
    assert "Smith" not in json.dumps(told)


def test_a_failed_run_is_told_without_counts(reported, webhook):
    """Its manifest may be of an earlier try."""
    ReportNotifier(state="failed")({"run_id": RUN_ID})
    (told,) = webhook.received
    assert (told["state"], told["counts"]) == ("failed", {})
    assert "failed" in told["text"]


def test_nothing_is_sent_unless_an_address_is_set(reported, webhook, monkeypatch):
    """Off by default."""
    monkeypatch.delenv("ECG_NOTIFY")
    ReportNotifier(state="success")({"run_id": RUN_ID})
    assert webhook.received == []


def test_every_channel_is_one_address(reported, webhook, monkeypatch):
    """One of Apprise's services beside a webhook: each gets the message once, with what it is about."""
    monkeypatch.setenv("ECG_NOTIFY", f"json://{webhook.host}/services/secret, http://{webhook.host}/hook")
    ReportNotifier(state="failed")({"run_id": RUN_ID})
    first, second = webhook.received
    assert (first["title"], first["type"]) == ("ECG classification: a run failed", "failure")
    assert first["message"] == "\n".join(second["text"].splitlines()[1:])
    assert "Smith" not in json.dumps(first)


@pytest.fixture
def logged(reported, caplog, capsys):
    """All that is logged, at any level: where it goes depends on how far Airflow has set up its logging."""
    with caplog.at_level(logging.DEBUG):
        yield lambda: caplog.text + "".join(capsys.readouterr())


SECRETS = ("http://{}/secret-path?token=secret-of-the-hook", "json://anna:secret-word@{}/secret-path?-token=secret-of-it")


@pytest.mark.parametrize(("address", "answer"), [(address, answer) for address in SECRETS for answer in (500, 302)])
def test_a_channel_that_refuses_fails_nothing_and_its_address_stays_out_of_the_log(webhook, monkeypatch, logged, address, answer):
    """Whatever is logged, by whichever library. A redirect is not followed: the counts go to the address that was set, or nowhere."""
    monkeypatch.setenv("ECG_NOTIFY", f"{address.format(webhook.host)} {address.format('127.0.0.1:9')} nonsense://secret-thing")
    webhook.answer = answer
    ReportNotifier(state="success")({"run_id": RUN_ID})
    assert len(webhook.received) == 1
    told, scheme = logged(), address.partition(":")[0]
    for place, name in enumerate((scheme, scheme, "nonsense"), start=1):
        assert f"could not be sent by {name} (address {place} of ECG_NOTIFY)" in told
    assert "secret" not in told


def test_a_run_that_had_nothing_to_report_sends_nothing(reported, webhook):
    """Pictures may start a run after all was decided on: it ends well, and no report is ready. A run that failed is told of in any case."""
    ReportNotifier(state="success")({"run_id": "asset_triggered__2026-03-02T00:00:00+00:00"})
    assert webhook.received == []
    ReportNotifier(state="failed")({"run_id": "asset_triggered__2026-03-02T00:00:00+00:00"})
    assert [told["state"] for told in webhook.received] == ["failed"]


def test_the_settings_before_still_work_and_say_what_replaces_them(reported, webhook, monkeypatch, caplog):
    """An upgrade sends what it sent before, besides what is set anew."""
    monkeypatch.setenv("ECG_NOTIFY_WEBHOOK", f"http://{webhook.host}/old")
    with caplog.at_level(logging.WARNING):
        ReportNotifier(state="success")({"run_id": RUN_ID})
    assert len(webhook.received) == 2
    assert webhook.received[0] == webhook.received[1]
    assert "ECG_NOTIFY now names every channel; ECG_NOTIFY_WEBHOOK still works" in caplog.text


def test_a_store_that_is_away_costs_the_counts_only(bucket, webhook, monkeypatch):
    """The run and its end are told all the same."""
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    ReportNotifier(state="success")({"run_id": RUN_ID})
    assert webhook.received[0]["counts"] == {}


@pytest.fixture
def mail_server():
    """A real SMTP server on this machine; ``recipients`` and ``message`` are what it took."""

    class Smtp(socketserver.StreamRequestHandler):
        def handle(self):
            self.wfile.write(b"220 test\r\n")
            while line := self.rfile.readline():
                word = line.split(b" ")[0].strip().upper()
                if word == b"RCPT":
                    self.server.recipients.append(line.strip())
                if word == b"DATA":
                    self.wfile.write(b"354 go on\r\n")
                    while (part := self.rfile.readline()) != b".\r\n":
                        self.server.message += part
                self.wfile.write(b"221 bye\r\n" if word == b"QUIT" else b"250 ok\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Smtp) as server:
        server.recipients, server.message = [], b""
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_mail_is_an_address_like_any_other(reported, mail_server, monkeypatch):
    """To everybody that it names."""
    port = mail_server.server_address[1]
    monkeypatch.setenv("ECG_NOTIFY", f"mailto://127.0.0.1:{port}?from=ecg@example.org&to=anna@example.org,bert@example.org")
    ReportNotifier(state="success")({"run_id": RUN_ID})
    assert len(mail_server.recipients) == 2
    _is_the_mail(mail_server.message)


def test_mail_goes_through_airflows_own_connection(reported, mail_server, monkeypatch):
    """By the setting of before, to everybody that is listed."""
    extra = json.dumps({"disable_ssl": True, "disable_tls": True, "from_email": "ecg@example.org"})
    connection = {"conn_type": "smtp", "host": "127.0.0.1", "port": mail_server.server_address[1], "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_SMTP_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("ECG_NOTIFY_EMAIL", "anna@example.org, bert@example.org")
    ReportNotifier(state="success")({"run_id": RUN_ID})
    assert len(mail_server.recipients) == 2
    _is_the_mail(mail_server.message)


def _is_the_mail(message):
    mail = message_from_bytes(message, policy=policy.default)
    assert mail["Subject"] == "ECG classification: the report is ready"
    text = mail.get_body(("plain", "html")).get_content()
    assert "records: 10" in text
    assert "Smith" not in text


def test_airflow_calls_it_at_the_end_of_a_run(reported, webhook):
    """As the dag-processor does it, with no more than the run's id: the DAG carries it for both ends."""
    import structlog
    from airflow.callbacks.callback_requests import DagCallbackRequest
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.dag_processing.processor import _execute_dag_callbacks
    from airflow.sdk.configuration import conf

    folder = conf.get("core", "dags_folder")
    bag = BundleDagBag(dag_folder=f"{folder}/classify_records.py", bundle_path=folder, bundle_name="dags-folder")
    for failure in (False, True):
        request = DagCallbackRequest(
            filepath="classify_records.py",
            bundle_name="dags-folder",
            bundle_version=None,
            dag_id="classify_records",
            run_id=RUN_ID,
            is_failure_callback=failure,
            msg="ended",
        )
        _execute_dag_callbacks(bag, request, structlog.get_logger())
    assert [told["state"] for told in webhook.received] == ["success", "failed"]


def test_a_late_run_is_told_from_the_triggerer(reported, webhook, monkeypatch):
    """As the triggerer does it when the deadline is missed, with what the DAG hands it: before the run has ended."""
    from airflow.dag_processing.dagbag import BundleDagBag
    from airflow.sdk.configuration import conf
    from airflow.triggers.callback import CallbackTrigger

    monkeypatch.setenv("ECG_NIGHT_DEADLINE_S", "7")
    folder = conf.get("core", "dags_folder")
    bag = BundleDagBag(dag_folder=f"{folder}/classify_records.py", bundle_path=folder, bundle_name="dags-folder")
    (alert,) = bag.dags["classify_records"].deadline
    assert alert.interval.total_seconds() == 7
    context = {"dag_run": {"dag_id": "classify_records", "dag_run_id": RUN_ID}, "deadline": {"id": "1", "deadline_time": "2026-01-01"}}
    trigger = CallbackTrigger(callback_path=alert.callback.path, callback_kwargs=alert.callback.kwargs | {"context": context})
    states = asyncio.run(_events(trigger))
    assert states == ["running", "success"]
    (told,) = webhook.received
    assert (told["state"], told["counts"], told["audit"]) == ("late", {}, "")
    assert told["text"].startswith("ECG classification: a run is late\n")
    assert told["link"].endswith("/dags/classify_records/runs/manual__2026-01-01T00%3A00%3A00%2B00%3A00")


async def _events(trigger):
    return [event.payload["state"] async for event in trigger.run()]
