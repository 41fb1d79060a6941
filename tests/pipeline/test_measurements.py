"""What is measured of a recording: by the real steps from dropped files to every form of the report, for older shards too."""

import csv
import io
import json
import re

import numpy as np
import pyarrow.parquet as pq
import pytest

from ecg_tasks.archive import keys, record_shards, registry, tables
from ecg_tasks.archive.predictions import join_shard
from ecg_tasks.archive.workspace import now
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.maintenance.rules import RULES
from ecg_tasks.queries import exchange, records
from ecg_tasks.reporting.measured import NOT_MEASURED, measured_lines
from ecg_tasks.signals.measurements import METHOD, VALUES, measure
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.sample_drop import sample_drop

COLUMNS = (*VALUES, "rhythm", "not_measurable")


def render(run: str) -> None:
    """One run of ``render_spectrograms``."""
    render_spectrograms.publish(run, [render_spectrograms.render_shard(job) for job in render_spectrograms.plan(run)])


@pytest.fixture(scope="module")
def night(bucket_in, todays_version):
    """A bucket after an intake of recordings and heartbeat rows, and a report on the beats; with the report's date and run."""
    with pytest.MonkeyPatch.context() as patch:
        store = bucket_in(patch, ECG_RECIPES="heartbeat")
        registry.write_version(store, "heartbeat", "aaaa00000001", todays_version("heartbeat", "aaaa00000001"))
        registry.write_champion(store, recipe="heartbeat", version="aaaa00000001", since=now(), who="test", why="test")
        inbox.put_files(sample_drop(seed=3, n_patients=2, recordings_per_patient=1).items())
        ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
        render("r")
        patch.setattr("ecg_tasks.pipeline.reports.report_builder.EXPLAINED", 0)
        pin = classify_records.pin_champion("c", date="2026-01-02", scope="all", details=500)
        report = classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
        _, date, run, _ = report.split("/")
        yield store, date, run


def expected(store) -> dict[str, dict]:
    """What the library measures of every stored record, by id."""
    return {
        one.record.record_id: measure(one.record).row
        for key in store.list_keys(keys.RECORDS)
        for one in record_shards.load_shard(store.get(key))
    }


def test_a_shard_has_the_same_pictures_however_many_are_drawn_together(night, monkeypatch):
    """One recording at a time, or one heartbeat row, gives the bytes of the whole shard."""
    store, _, _ = night
    monkeypatch.setattr(render_spectrograms, "SAMPLES_AT_ONCE", 1)
    recipe, drawn = get_recipe("heartbeat"), {}
    for key in store.list_keys(keys.RECORDS):
        shard = record_shards.load_shard(store.get(key))
        assert len(shard) > 1
        with monkeypatch.context() as patch:
            patch.setattr(store, "put", drawn.__setitem__)
            render_spectrograms.render_one(store, keys.stem(key), shard, recipe)
    assert drawn == {key: store.get(key) for key in store.list_keys(keys.spectrograms_of(recipe.key))}


def test_every_shard_is_measured_once(night):
    """One file a shard, under the method's name, with a row for each record; another run finds nothing to do."""
    store, _, _ = night
    shards = {keys.stem(key) for key in store.list_keys(keys.RECORDS)}
    assert {keys.stem(key) for key in store.list_keys(keys.measurements_by(METHOD))} == shards
    found = {}
    for shard in shards:
        columns = tables.load(store.get(keys.measurements(METHOD, shard)))
        found |= {one: {name: columns[name][row] for name in COLUMNS} for row, one in enumerate(columns["record_id"])}
    wanted = expected(store)
    assert found.keys() == wanted.keys()
    for record_id, row in wanted.items():
        assert [found[record_id][name] for name in COLUMNS[-2:]] == [row[name] for name in COLUMNS[-2:]]
        assert [float(found[record_id][name]) for name in VALUES] == pytest.approx([row[name] for name in VALUES], nan_ok=True)
    assert any(row["qrs_ms"] > 0 for row in wanted.values())
    assert render_spectrograms.unmeasured(store) == set()


def test_an_older_shard_is_measured_without_new_pictures(night, monkeypatch):
    """As in a bucket of an earlier version, and by another method: the pictures stay the very same objects."""
    store, _, _ = night
    pictures = {item.key: item.modified for item in store.list_objects(keys.SPECTROGRAMS)}
    monkeypatch.setattr("ecg_tasks.signals.measurements.METHOD", "better-2")
    monkeypatch.setenv("ECG_BUCKET", store.bucket)
    assert render_spectrograms.unmeasured(store) == {keys.stem(key) for key in store.list_keys(keys.RECORDS)}
    render("again")
    assert len(store.list_keys(keys.measurements_by("better-2"))) == len(store.list_keys(keys.RECORDS))
    assert {item.key: item.modified for item in store.list_objects(keys.SPECTROGRAMS)} == pictures
    monkeypatch.undo()
    needed = RULES["measurements"].needed(None)
    assert [needed(keys.measurements(method, "s")) for method in (METHOD, "better-2")] == [True, False]
    for key in store.list_keys(keys.measurements_by("better-2")):
        store.delete(key)


def test_csv_and_parquet_have_the_values(night):
    """With one decimal, an empty cell where there is none; the reasons beside them."""
    store, date, run = night
    wanted = expected(store)
    rows = list(csv.DictReader(io.StringIO(store.get(keys.report(date, run, "predictions.csv")).decode())))
    table = pq.read_table(io.BytesIO(store.get(keys.report(date, run, "predictions.parquet")))).to_pylist()
    assert len(rows) == len(table) > 10
    for in_csv, in_parquet in zip(rows, table, strict=True):
        row = wanted[in_csv["record_id"]]
        for name in VALUES:
            value = None if np.isnan(row[name]) else round(float(np.float32(row[name])), 1)
            assert in_parquet[name] == value
            assert in_csv[name] == ("" if value is None else str(value))
        for name in ("rhythm", "not_measurable"):
            assert in_parquet[name] == (row[name] or None)
            assert in_csv[name] == row[name]
    assert {row["not_measurable"] for row in rows if not row["rate_bpm"]} == {"all:one_beat"}


def test_fhir_and_pages_tell_them(night):
    """A component each, and a line each on the page of the record, in the report and inside Airflow."""
    store, date, run = night
    wanted = expected(store)
    measured = {record_id: row for record_id, row in wanted.items() if row["rhythm"]}
    (bundle,) = (json.loads(line) for line in exchange.fhir_ndjson(store, date, run))
    rates = {
        entry["resource"]["identifier"][0]["value"]: part["valueQuantity"]["value"]
        for entry in bundle["entry"]
        if entry["resource"]["resourceType"] == "Observation"
        for part in entry["resource"]["component"]
        if part["code"]["coding"][0]["code"] == "8867-4" and "valueQuantity" in part
    }
    assert rates == {record_id: pytest.approx(row["rate_bpm"], abs=0.051) for record_id, row in measured.items()}
    for record_id, row in wanted.items():
        lines = measured_lines(row)
        page = store.get(keys.report(date, run, f"records/{record_id}.html")).decode()
        told = page.partition('id="measured-h"')[2].partition("</dl>")[0]
        found = re.findall(r'<dt>([^<]*)</dt><dd>([^<]*?)(?: <span class="muted">\((.*?)\)</span>)?</dd>', told)
        assert found == [tuple(line) for line in lines]
        assert measured_lines(records.record_page(store, record_id, champions={}).measured) == lines


def test_what_nobody_measured_is_not_measurable_for_no_reason(archive):
    """A shard of an earlier version, or one that waits: every value is none, and pages say that it is not measured yet."""
    archive.put_shard("s", archive.ids(2), [0.1, 0.2])
    columns, _ = join_shard(archive.store, "s", {"heartbeat": "v1"}, ("record_id", *COLUMNS))
    assert all(np.isnan(columns[name]).all() for name in VALUES)
    assert columns["rhythm"] == columns["not_measurable"] == ["", ""]
    (line,) = measured_lines(dict.fromkeys(COLUMNS))  # one for all, as there is one reason
    assert (line.text, line.why) == (NOT_MEASURED, "")


@pytest.mark.parametrize(("value", "text"), [(61.46, "62°"), (61.5, "62°"), (-0.3, "0°"), (-48.2, "-48°")])
def test_a_value_is_rounded_alike_wherever_it_is_shown(value, text):
    """A report has one digit of it, other pages have all; there is no minus before a zero."""
    lines = measured_lines(dict.fromkeys(COLUMNS) | {"axis_deg": value})
    assert next(line.text for line in lines if line.title == "QRS axis") == text


def test_a_record_that_a_file_of_measurements_lacks_has_none(archive):
    """The others keep theirs."""
    ids = archive.ids(2)
    archive.put_shard("s", ids, [0.1, 0.2])
    row = {name: [60.0] for name in VALUES} | {"record_id": [ids[1]], "rhythm": ["regular"], "not_measurable": [""]}
    archive.store.put(keys.measurements(METHOD, "s"), tables.dump(tables.MEASUREMENTS, row))
    columns, _ = join_shard(archive.store, "s", {"heartbeat": "v1"}, ("record_id", "rate_bpm", "rhythm"))
    assert np.array_equal(columns["rate_bpm"], np.float32([np.nan, 60]), equal_nan=True)
    assert columns["rhythm"] == ["", "regular"]
