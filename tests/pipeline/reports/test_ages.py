"""A record of a person whose age the version was not shown carries a flag in the report, in CSV and on its pages."""

import csv
import hashlib
import io
import json

import pytest

from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.workspace import now
from ecg_tasks.learning.version import METRICS
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries.records import record_page
from tests.hospital_files import strip, wfdb_twin

SENTENCE = "it is not meant for this age"


def of_age(name: str, age: float | None, *, seed: int) -> dict[str, bytes]:
    """A recording whose header has an age, or none."""
    files = wfdb_twin(strip(seed=seed), name)
    if age is not None:
        files[f"{name}.hea"] += f"# age: {age:g}\n".encode()
    return files


@pytest.fixture(scope="module")
def night(bucket_in, todays_version):
    """A report on a child, an adult and a person of unknown age, by a version that was shown adults; its store, date and run."""
    with pytest.MonkeyPatch.context() as patch:
        store = bucket_in(patch, ECG_RECIPES="twelve_lead")
        files = todays_version("twelve_lead", "aaaa00000001")
        files[METRICS] = json.dumps(json.loads(files[METRICS]) | {"ages": {"low": 18.0, "high": 90.0, "n_patients": 400}}).encode()
        sums = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items()) if name != registry.SUMS]
        files[registry.SUMS] = "\n".join(sums).encode()
        registry.write_version(store, "twelve_lead", "aaaa00000001", files)
        registry.write_champion(store, recipe="twelve_lead", version="aaaa00000001", since=now(), who="test", why="test")
        for name, age, seed in (("child", 7.0, 1), ("adult", 54.0, 2), ("somebody", None, 3)):
            inbox.put_files(of_age(name, age, seed=seed).items())
        ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
        render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
        patch.setattr("ecg_tasks.pipeline.reports.report_builder.EXPLAINED", 0)
        pin = classify_records.pin_champion("c", date="2026-01-02", scope="all", details=3)
        report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
        _, date, run, _ = report.split("/")
        yield store, date, run


def test_the_report_flags_the_child_alone(night):
    """In CSV by its code, on the record's page by its sentence; the decision is as it is."""
    store, date, run = night
    rows = {row["name"]: row for row in csv.DictReader(io.StringIO(store.get(keys.report(date, run, "predictions.csv")).decode()))}
    assert {name for name, row in rows.items() if "age_outside" in row["flags"].split(",")} == {"child"}
    for name, row in rows.items():
        page = store.get(keys.report(date, run, f"records/{row['record_id']}.html")).decode()
        assert (SENTENCE in page) == (name == "child")


def test_the_page_of_a_record_flags_it_too(night):
    """Made of the version's metrics and of the age that is known now, whichever report one comes from."""
    store, date, run = night
    rows = csv.DictReader(io.StringIO(store.get(keys.report(date, run, "predictions.csv")).decode()))
    flags = {row["name"]: record_page(store, row["record_id"]).decided.flags for row in rows}
    assert {name for name, found in flags.items() if "age_outside" in found.split(",")} == {"child"}
