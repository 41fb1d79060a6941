"""The benchmark of the pages, small: it fills a bucket, and every page that it times answers."""

import io
import uuid

import pytest
from rich.console import Console

from benchmarks import pages
from ecg_ui import security

pytestmark = pytest.mark.slow


@pytest.fixture
def server(s3_server, monkeypatch):
    """A bucket that is filled, as the benchmark's own server would hold it."""
    for name in ("_labels", "_edits", "_runs"):
        monkeypatch.setattr(security, name, getattr(security, name))  # the benchmark puts others in their place
    given = {
        "AWS_ENDPOINT_URL_S3": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "ECG_BUCKET": f"pages-{uuid.uuid4().hex}",
        "ECG_RECIPES": pages.RECIPE,
        "ECG_PATIENT_KEY": "k" * 32,
        "AIRFLOW__API__SECRET_KEY": "",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)


def test_every_page_is_timed(server):
    """First, again, and the processor time of both."""
    pages.fill(n_records=60)()
    found = pages.ask()()
    assert {"record, another", "record, the same, from its report", "records before a verdict", "review", "report"} <= found.keys()
    assert all(value > 0 for taken in found.values() for value in taken.values())
    console = Console(width=160, record=True, file=io.StringIO())
    pages.print_pages(console, {"server": "moto", "sizes": [60], "pages": {name: {"60": taken} for name, taken in found.items()}})
    assert set(found) <= {line.split("│")[1].strip() for line in console.export_text().splitlines() if line.count("│") > 1}
