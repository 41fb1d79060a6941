"""What commands show is in the access log, an auditor's report by one command, and no secret where nobody sees a terminal."""

import csv
import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from ecg_tasks.archive import keys, tables
from ecg_tasks.archive.access_log import Access, AccessLog, AccessOutcome, Act
from ecg_tasks.archive.workspace import now
from ecg_tasks.cli import audit, backup, demo, lineage, models, reports, stack, terminal
from ecg_tasks.cli.__main__ import app
from ecg_tasks.queries import access_report
from tests.archives import archive, evaluated_versions, two_nights, works

__all__ = ["archive", "evaluated_versions", "two_nights", "works"]


@pytest.fixture
def store(bucket, two_nights, monkeypatch):
    """The bucket that the commands work on."""
    bucket.put_many((key, data, "application/octet-stream") for key, data in two_nights.items())
    for module in (audit, lineage, models, reports):
        monkeypatch.setattr(module, "open_bucket", lambda: bucket)
    return bucket


def run(*arguments):
    """What a command printed."""
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == 0, done.output
    return done.output


def test_what_commands_show_is_logged_and_reported(store, tmp_path):
    """A report and a record by the name of the system's user; the report of the log has it all, and is a read itself."""
    date = store.list_folders(keys.REPORTS)[0]
    folder = store.list_folders(f"{keys.REPORTS}{date}/")[0]
    shard = keys.stem(store.list_keys(keys.RECORDS)[0])
    record = tables.load(store.get(keys.record_index(shard)), ["record_id"])["record_id"][0]
    run("export-report", folder, tmp_path / "r.zip")
    run("lineage", record)
    run("export", "heartbeat", tmp_path / "models")
    run("export-labels", tmp_path / "labels.csv", "--comments")
    found = json.loads(run("audit", "access", "--json"))
    pages = [(one["page"], one["record"], one["run"], one["thing"]) for one in found["accesses"]]
    assert pages == [
        ("./ecg export-report", "", f"{date}/{folder}", ""),
        ("./ecg lineage", record, "", ""),
        ("./ecg export", "", "", "heartbeat"),
        ("./ecg export-labels", "", "", "with comments"),
        ("./ecg audit access", "", "", ""),
    ]
    assert {one["act"] for one in found["accesses"]} == {"read"}
    assert all(one["who"] for one in found["accesses"])
    run("audit", "access", "--record", record, "--from", "2000-01-01", "--to", "2999-12-31", "--out", tmp_path / "a.csv")
    rows = list(csv.DictReader((tmp_path / "a.csv").read_text().splitlines()))
    assert [row["page"] for row in rows] == ["./ecg lineage", "./ecg audit access"]
    assert "./ecg lineage" not in run("audit", "access", "--to", "2000-01-01")
    assert record in run("audit", "access")


def test_a_log_with_a_hole_is_reported_with_exit_code_1(store, monkeypatch):
    """A batch that was taken away between two others of its writer is missed."""
    monkeypatch.setattr(AccessLog, "_run", lambda _self: None)
    log = AccessLog(store)
    for n in range(3):
        log.note(Access(when=now(), who=f"{n}", act=Act.READ, page="/p", outcome=AccessOutcome.SHOWN))
        log.flush()
    run("audit", "access")
    (second,) = [key for key in store.list_keys(keys.ACCESS) if "-000001-" in key]
    store.delete(second)
    done = CliRunner().invoke(app, ["audit", "access"])
    assert done.exit_code == 1
    assert "batches are missing between" in done.output


def test_nothing_is_shown_that_could_not_be_logged(store, tmp_path, monkeypatch):
    """The export is not written where the log cannot be."""
    from ecg_tasks.errors import StoreError

    monkeypatch.setattr(type(store), "put", lambda *_, **__: (_ for _ in ()).throw(StoreError("full")))
    date = store.list_folders(keys.REPORTS)[0]
    done = CliRunner().invoke(app, ["export-report", store.list_folders(f"{keys.REPORTS}{date}/")[0], str(tmp_path / "r.zip")])
    assert isinstance(done.exception, StoreError)
    assert list(tmp_path.iterdir()) == []


def test_a_backup_is_a_read_of_everything(bucket, monkeypatch, tmp_path):
    """It is logged while the stack is up."""
    monkeypatch.setattr("deploy.embedded.Stack", lambda: SimpleNamespace(is_up=lambda: True, environment=dict))
    monkeypatch.setattr("deploy.embedded.backup.back_up", lambda _stack, file, _say: file.touch())
    backup.backup(tmp_path / "b.tar")
    assert [one.page for one in access_report.report(bucket).accesses] == ["./ecg backup"]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_secrets_go_to_a_terminal_only(is_terminal, monkeypatch, capsys):
    """The password and the store's key: a pipe, a file or a log of CI gets the place where they are."""
    made = terminal.console_of.__wrapped__(stderr=False)  # not the one that other tests have
    made._force_terminal = is_terminal
    for module in (demo, stack):
        monkeypatch.setattr(module, "console", lambda: made)
    demo._tell_how_to_go_on(
        SimpleNamespace(
            environment=lambda: {"ECG_BUCKET": "ecg", "AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "s3secret"},
            ui="http://127.0.0.1:8080",
            login="admin",
            password="passphrase",
            home="/home/of/it",
            certificate="AB:CD:EF",
        )
    )
    shown = capsys.readouterr().out
    assert ("s3secret" in shown) == ("passphrase" in shown) == is_terminal
    assert "SHA-256 AB:CD:EF" in shown
    assert ("admin_password in /home/of/it/secrets.json" in shown) != is_terminal
