"""A made word is planted in every field of a file of every format, in names, tables and bad rows: after a night none is left outside.

Outside is everything but the inbox before the intake, and the quarantine: every object of the bucket, its key, what is packed in it,
what the tasks hand on to one another, what they log, and every file that a report can be downloaded as.
"""

import base64
import gzip
import io
import json
import logging
import re
import zipfile
from collections.abc import Iterator

import pyarrow as pa
import pytest
from pyarrow import parquet

from ecg_tasks.actions.quarantine import put_back
from ecg_tasks.archive import keys, registry
from ecg_tasks.archive.documents import IntakeManifest, read_manifest
from ecg_tasks.archive.labelling import labels_in_force
from ecg_tasks.archive.workspace import now
from ecg_tasks.pipeline import classify_records, ingest_records, maintain_store, render_spectrograms
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.pipeline.maintenance.rules import RULES
from ecg_tasks.queries import downloads, quarantine, records, review_queue, runs
from ecg_tasks.queries.lineage import tracing
from tests.planted_files import OF_THE_PERSON, PLANTED, WORD, planted

FOUND = re.compile(WORD.pattern + b"|" + OF_THE_PERSON.pattern, re.IGNORECASE)
_BEGINS = (b"zxqv", *OF_THE_PERSON.pattern.split(b"|"))
"""What a planted word begins with: looked for first, as that is quicker by far."""
WARD, PERSON = "Zxqv9001", "Zxqv9002"
_BASE64 = re.compile(rb'"([A-Za-z0-9+/]{24,}={0,2})"')


def unpacked(data: bytes) -> Iterator[bytes]:
    """Everything in some bytes, however deep: members of archives, values and remarks of Parquet, what JSON holds in base64."""
    yield data
    yield data.replace(b"\0", b"")
    if data.startswith(b"PAR1"):
        file = parquet.ParquetFile(pa.BufferReader(data))
        yield f"{file.metadata.metadata}{file.schema_arrow}".encode()
        for column in file.read().columns:
            binary = pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type)
            yield (
                b"\n".join(value or b"" for value in column.to_pylist()) if binary else json.dumps(column.to_pylist(), default=str).encode()
            )
    elif data.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for name in archive.namelist():
                yield name.encode()
                yield from unpacked(archive.read(name))
    elif data.startswith(b"\x1f\x8b"):
        yield from unpacked(gzip.decompress(data))
    elif data[:1] in {b"{", b"["}:
        for packed in _BASE64.findall(data):
            if len(packed) % 4 == 0:
                yield from unpacked(base64.b64decode(packed))


def found_in(*parts: bytes) -> set[bytes]:
    """The planted words that are in some bytes."""
    pieces = (piece.lower() for data in parts for piece in unpacked(data))
    return {word for piece in pieces if any(begin in piece for begin in _BEGINS) for word in FOUND.findall(piece)}


def objects_with_words(store) -> dict[str, set[bytes]]:
    """Every object whose key or content has a planted word, with these."""
    listed = store.list_keys("")
    found = {key: found_in(key.encode(), data) for key, data in zip(listed, store.get_many(listed), strict=True)}
    return {key: words for key, words in found.items() if words}


def dropped() -> dict[str, bytes]:
    """A folder for each format, called after a person, and beside them what cannot be read, rows of labels and notes."""
    files = {f"{WARD}/{name}/{file}": data for name in PLANTED for file, data in planted(name).items()}
    one_file = {name: planted(name) for name in ("muse", "edf", "scp", "npz")}
    files |= {f"{PERSON}.{next(iter(one)).rpartition('.')[2]}": next(iter(one.values())) for one in one_file.values()}  # duplicates
    labels = f"record,label,patient_id,age,sex,remark\nx.edf,abnormal,{PERSON},97,F,{PERSON}\n{PERSON},normal,P,,,\nx.edf,{PERSON},P,,,\n"
    return files | {
        f"{WARD}/edf/labels.csv": labels.encode(),
        f"{WARD}/{PERSON}.csv": f"{PERSON};is;no;recording\n".encode(),
        f"{WARD}/{PERSON}.jpg": b"\xff\xd8\xff " + PERSON.encode(),
        f"{WARD}/edf/RECORDS": f"{PERSON}\n".encode(),
        f"{WARD}/edf/{PERSON}.atr": PERSON.encode(),
    }


@pytest.fixture
def store(bucket, todays_version, monkeypatch):
    """A bucket with champions, whose settings ask for nothing to be kept."""
    for name in ("ECG_KEEP_NAMES", "ECG_RAW_KEEPS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    for recipe in ("twelve_lead", "heartbeat"):
        registry.write_version(bucket, recipe, "aaaa00000001", todays_version(recipe, "aaaa00000001"))
        registry.write_champion(bucket, recipe=recipe, version="aaaa00000001", since=now(), who="test", why="it is there")
    return bucket


def intake(name: str) -> Iterator[object]:
    """Everything that the tasks of an intake hand on."""
    jobs = ingest_records.plan(name)
    results = [ingest_records.ingest_batch(job) for job in jobs]
    yield from (jobs, results, ingest_records.publish(name, results))


def night(name: str) -> Iterator[object]:
    """Everything that the tasks between an intake and its report hand on."""
    drawing = render_spectrograms.plan(name)
    drawn = [render_spectrograms.render_shard(job) for job in drawing]
    yield from (drawing, drawn, render_spectrograms.publish(name, drawn))
    pin = classify_records.pin_champion(name, date="2026-03-02", scope="all", details=1)
    jobs = classify_records.plan(pin)
    decided = [classify_records.classify_shard(job) for job in jobs]
    report = classify_records.write_report(pin, decided)
    yield from (pin, jobs, decided, report, runs.headline(report))


def maintenance(name: str, **days: float) -> Iterator[object]:
    """Everything that the tasks of a maintenance hand on."""
    planned = maintain_store.plan(name, days=dict.fromkeys(RULES, 0.0) | days, dry_run=False, sample=1000)
    parts = [maintain_store.delete(planned), maintain_store.check_orphans(planned), maintain_store.check_contents(planned)]
    manifest = maintain_store.publish(planned, *parts)
    maintain_store.fail_if_damaged(manifest)
    yield from (planned, parts, manifest, maintain_store.headline(manifest))


def shown(store) -> Iterator[bytes]:
    """What a person who only reads sees or downloads."""
    for run in runs.runs(store).runs:
        for kind in ("predictions.csv", "predictions.parquet", "predictions.xlsx", "summary.json", "fhir-R5.ndjson", "report.zip"):
            yield b"".join(downloads.download(store, run.date, run.run, kind))
        yield str(tracing.trace(store, run.run)).encode()
    yield str(review_queue.queue(store, user="ada")).encode()
    for entry in quarantine.entries(store, told=False).entries:
        yield str(quarantine.entry(store, entry.id, told=False)).encode()
    for key in store.list_keys(keys.RECORD_INDEX):
        for record_id in parquet.read_table(pa.BufferReader(store.get(key)))["record_id"].to_pylist():
            yield str(records.record_page(store, record_id)).encode()


def test_no_planted_word_leaves_the_quarantine(store, caplog):
    """Files of every format, duplicates, refused ones and rows; then labels that come later, and an entry put back; a night; maintenance.

    It takes seconds, as it goes through every task with a file of each format.
    """
    caplog.set_level(logging.DEBUG)
    files = dropped()
    inbox.put_files(files.items())
    before = objects_with_words(store)
    assert {key for key in before if key.startswith(keys.INBOX)} == {f"{keys.INBOX}{name}" for name in files}  # the search finds all
    told = list(intake("first"))
    manifest = read_manifest(store, IntakeManifest, "first")
    assert {one.kept for one in manifest.inputs if one.records} == {"deidentified"}
    assert manifest.counts.duplicates >= 4
    assert {one.reason for one in manifest.quarantined} >= {"unknown_format", "bad_label"}
    later = {
        f"{WARD}/{name}/labels.csv": f"record,label\n{next(iter(planted(name)))},normal\n".encode() for name in ("muse", "wfdb", "dicom")
    }
    inbox.put_files(later.items())
    entry = next(one for one in quarantine.entries(store).entries if one.name.endswith(f"{PERSON}.csv"))
    put_back(store, entry.id, who="ada")
    told += [*intake("second"), *night("n"), *maintenance("m")]
    assert read_manifest(store, IntakeManifest, "second").labels.stored == len(later)
    assert len(labels_in_force(store)) >= len(later) + 1
    with_words = objects_with_words(store)
    assert {key.partition("/")[0] for key in with_words} == {"quarantine"}
    assert [key for key in with_words if FOUND.search(key.encode())] == []
    assert found_in(repr(told).encode(), *shown(store)) == set()
    assert found_in(*(record.getMessage().encode() for record in caplog.records), caplog.text.encode()) == set()
    told = list(maintenance("last", quarantine=0.000001))
    assert objects_with_words(store) == {}
    assert found_in(repr(told).encode(), caplog.text.encode()) == set()
