"""Here: Airflow's own application with the pages mounted in it, its roles, and a small archive. Not here: a browser."""

import warnings
from contextlib import suppress
from types import SimpleNamespace

import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.workspace import now
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.signals.sample_drop import sample_drop

HOSTILE = "ward/<script>alert('x')</script>.csv"
FORMULA = "=cmd|'/c calc'!A1.csv"
RUN_ID = "manual__2026-03-02T00:00:00+00:00"
HERE = "http://testserver"
PASSWORD = "correct horse battery"
HALF = "Mustermann/Erika.hea"
"""Half a recording in the inbox, under a name that tells who it is."""


@pytest.fixture(scope="session")
def environment(bucket_in, api_settings, tmp_path_factory):
    """The store of an api-server whose environment holds, besides, the settings of accounts as the embedded stack has them."""
    from deploy.embedded import airflow
    from deploy.embedded.home import Home

    embedded = airflow.environment(Home(tmp_path_factory.mktemp("home")))
    accounts = {name: value for name, value in embedded.items() if name.startswith("AIRFLOW__FAB__") or name.endswith("__AUTH_MANAGER")}
    assert len(accounts) == 4
    with pytest.MonkeyPatch.context() as patch:
        yield bucket_in(patch, **api_settings, **accounts)


@pytest.fixture(scope="session")
def archive(environment, todays_version):
    """A bucket after one night: two patients' recordings, beats, two under hostile names, quarantine, labels, a report, two versions."""
    store = environment
    for recipe in ("twelve_lead", "heartbeat"):
        registry.write_version(store, recipe, "aaaa00000001", todays_version(recipe, "aaaa00000001"))
        registry.write_version(store, recipe, "aaaa00000002", todays_version(recipe, "aaaa00000002", threshold=0.9, abstain=[0.85, 0.95]))
        registry.write_champion(store, recipe=recipe, version="aaaa00000001", since=now(), who="test", why="it is there")
    drop = sample_drop(seed=3, n_patients=2, recordings_per_patient=2)
    for name, day in (("synthetic_0002_1", "03/05/2019"), ("synthetic_0002_2", "04/05/2023")):
        header = f"synthetic/{name}.hea"
        drop[header] = drop[header].replace(b"12 500 5000", f"12 500 5000 10:11:12 {day}".encode(), 1)
    beats = drop["synthetic/synthetic_heartbeats.csv"].splitlines(keepends=True)
    first = beats[0] if not beats[0][:1].isdigit() else b""
    drop[HOSTILE] = first + b"".join(beats[5:9]).replace(b"0.9", b"0.8")
    drop[FORMULA] = first + b"".join(beats[9:12]).replace(b"0.9", b"0.8")
    inbox.put_files(drop.items())
    ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
    render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
    pin = classify_records.pin_champion(RUN_ID, date="2026-03-02", scope="all", details=2)
    report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    _, date, run, _ = report.split("/")
    return SimpleNamespace(store=store, date=date, run=run, run_id=RUN_ID, report=f"/ecg/reports/{date}/{run}")


@pytest.fixture(scope="session")
def rows(archive):
    """Every row of the report."""
    from ecg_tasks.queries import report_table

    return list(report_table.table(archive.store, archive.date, archive.run).all_rows())


@pytest.fixture(scope="session")
def airflow(environment, airflow_database):
    """Airflow's application as the api-server makes it, over a database of its own, with the plugin found in the plugins' folder."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's and Starlette's own deprecations
        from airflow.api_fastapi.app import create_app

        app = create_app()
    assert any(getattr(route, "path", "") == "/ecg" for route in app.routes)
    return app


@pytest.fixture(scope="session")
def pages(airflow):
    """The mounted application of the pages."""
    return next(route.app for route in airflow.routes if getattr(route, "path", "") == "/ecg")


@pytest.fixture(scope="session")
def people(airflow):
    """The accounts in Airflow's database; a context that gives them, as the commands open it."""
    from contextlib import contextmanager

    from airflow.api_fastapi.app import get_auth_manager

    from deploy.accounts.people import People

    @contextmanager
    def opened():
        manager = get_auth_manager()
        with manager.flask_app.app_context():
            yield People(manager.security_manager)

    return opened


@pytest.fixture(scope="session")
def client_of(airflow, people):
    """Maker of a browser's stand-in, signed in as somebody of a role (None: an account without any), or not at all ("nobody")."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from fastapi.testclient import TestClient

    from airflow.api_fastapi.app import get_auth_manager

    from deploy.accounts.roles import AccountError, Role

    def make(role: str | None, *, name: str = "") -> TestClient:
        client = TestClient(airflow, base_url=HERE, follow_redirects=False, headers={"accept": "text/html"})
        if role != "nobody":
            name = name or ("ada" if role == "admin" else f"ada-{role}".lower())
            with people() as accounts:
                with suppress(AccountError):
                    accounts.add(name, Role(role or "reader"), PASSWORD)
                manager = accounts._manager
                user = manager.find_user(username=name)
                if role is None and user.roles:
                    user.roles = []
                    assert manager.update_user(user)
                client.cookies.set("_token", get_auth_manager().generate_jwt(user))
        return client

    return make


@pytest.fixture(scope="session")
def admin(client_of):
    """Somebody who may do everything."""
    return client_of("admin")


@pytest.fixture(scope="session")
def viewer(client_of):
    """Somebody who may read."""
    return client_of("reader")


@pytest.fixture(scope="session")
def token_of():
    """Reader of the form token on a page."""
    import re

    def read(client, path: str = "/ecg/review") -> str:
        found = re.search(r'name="token" value="([^"]+)"', client.get(path).text)
        assert found, f"{path} has no form"
        return found[1]

    return read


@pytest.fixture
def waiting(archive):
    """Half a recording and an upload that goes on, in the inbox."""
    named = {f"{keys.INBOX}{HALF}": b"Erika 1 500 5000\nErika.dat 16 200 16 0 0 0 0 I\n", f"{keys.INBOX}late.edf.part": b"0"}
    archive.store.put_many((key, data, "application/octet-stream") for key, data in named.items())
    yield archive.store
    archive.store.delete_many([*named, *(key for key in archive.store.list_keys(keys.INTAKES) if "/released-" in key)])
