"""Here: ``python -m docs.pictures``: the pictures of the pages in README and docs, made anew. Not here: Airflow's own pages (airflow.png).

Made-up recordings go through intake, drawing and the shipped champions into a store in memory. A headless Chromium looks at the pages as
Airflow serves them, and at the report as a file, and keeps what it sees.
"""

import os
import shutil
import sys
import tempfile
import threading
import time
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "pictures"
DATE, RUN_ID = "2026-11-30", "scheduled__2026-11-30T02:00:00+00:00"
WIDE, PHONE = (1280, 900), (390, 844)
RECORD_HEIGHT = 1500
"""So much of a record's long page: what stands on top, the trace and its spectrogram."""


def main() -> None:
    """Make every picture again."""
    with tempfile.TemporaryDirectory(prefix="ecg-pictures-") as folder:
        home = Path(folder)
        os.environ.update(
            AIRFLOW_HOME=str(home),
            AIRFLOW__API__SECRET_KEY=uuid.uuid4().hex,
            AIRFLOW__CORE__LOAD_EXAMPLES="False",
            ECG_BUCKET="ecg",
            ECG_PATIENT_KEY="k" * 32,
            ECG_DATES="exact",
            AWS_ACCESS_KEY_ID="pictures",
            AWS_SECRET_ACCESS_KEY="pictures",  # noqa: S106 - of a store in this process
            AWS_DEFAULT_REGION="us-east-1",
        )
        with _store() as address:
            os.environ["AWS_ENDPOINT_URL_S3"] = address
            record_id = _night(home / "report")
            with _pages() as pages:
                _look(pages, home / "report", record_id)


@contextmanager
def _store() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def _night(folder: Path) -> str:
    """Take over, draw and decide; writes the report's files into a folder, and returns the record that is shown."""
    from ecg_tasks.archive import keys
    from ecg_tasks.archive.workspace import open_store
    from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
    from ecg_tasks.pipeline.champions import seed
    from ecg_tasks.pipeline.intake import inbox
    from ecg_tasks.signals.sample_drop import sample_drop

    store = open_store()
    store.create_bucket()
    seed.install_champions()
    inbox.put_files([*sample_drop(seed=7, n_patients=12, recordings_per_patient=2).items(), ("synthetic/notes.pdf", b"%PDF-1.7\n")])
    os.environ["ECG_WFDB_GRACE_S"] = "0"
    ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
    render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
    pin = classify_records.pin_champion(RUN_ID, date=DATE, scope="all", details=500, run_type="scheduled")
    index = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
    top = f"{index.rpartition('/')[0]}/"
    for key in store.list_keys(top):
        file = folder / key.removeprefix(top)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(store.get(key))
    from ecg_tasks.queries import report_table

    run = keys.run_key(RUN_ID)
    rows = report_table.table(store, DATE, run)
    shown = {file.stem for file in (folder / "records").glob("*.html")}
    wanted = ("twelve_lead", "abnormal")
    found = (row for row in (rows.all_rows() if rows else ()) if row["record_id"] in shown)
    return next(str(row["record_id"]) for row in found if (row["recipe"], row["decision"]) == wanted)


@contextmanager
def _pages() -> Iterator[str]:
    """Serve the pages as Airflow does, to a person who may do everything."""
    import uvicorn

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Airflow's own deprecations
        from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

        from ecg_ui import security
        from ecg_ui.app import create_app
    user = SimpleAuthManagerUser(username="anna", role="ADMIN")
    app = create_app()
    app.dependency_overrides = {security.signed_in: lambda: user, security.may_read: lambda: None, security.may_label: lambda: None}
    for question in ("_labels", "_edits", "_runs"):
        setattr(security, question, lambda *_: True)  # they would ask Airflow's database
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    (port,) = {one.getsockname()[1] for one in server.servers[0].sockets}
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def _look(pages: str, report: Path, record_id: str) -> None:
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("there is no chromium on this machine (Debian: apt-get install chromium)")
    from ecg_tasks.archive import keys

    run = f"/reports/{DATE}/{keys.run_key(RUN_ID)}"
    record = f"/records/{record_id}?date={DATE}&run={keys.run_key(RUN_ID)}"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])

        def picture(name: str, address: str, *, size: tuple[int, int] = WIDE, scheme: Any = "light", do: str = "") -> None:
            context = browser.new_context(viewport={"width": size[0], "height": size[1]}, color_scheme=scheme)
            page = context.new_page()
            answer = page.goto(address)
            if answer is not None and not answer.ok and answer.status:
                raise RuntimeError(f"{address} answered {answer.status}")
            if do:
                page.get_by_label(do).first.check()
            page.wait_for_timeout(300)
            page.screenshot(path=FOLDER / name)
            context.close()

        picture("ui-overview.png", f"{pages}/")
        picture("ui-report.png", f"{pages}{run}")
        picture("ui-record.png", f"{pages}{record}", size=(WIDE[0], RECORD_HEIGHT))
        picture("ui-record-dark.png", f"{pages}{record}", size=(WIDE[0], RECORD_HEIGHT), scheme="dark")
        picture("ui-review.png", f"{pages}/review")
        picture("ui-models.png", f"{pages}/models")
        picture("ui-phone.png", f"{pages}{record}", size=PHONE)
        picture("report.png", (report / "index.html").as_uri())
        picture("record.png", (report / "records" / f"{record_id}.html").as_uri(), size=(WIDE[0], 2 * RECORD_HEIGHT))
        browser.close()


if __name__ == "__main__":
    main()
