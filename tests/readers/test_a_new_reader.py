"""A format is one class: a reader that the list of readers gets is all that takes its files from the inbox to records."""

import ast
import re
from pathlib import Path

import numpy as np
import pytest

import ecg_tasks
from ecg_tasks import readers
from ecg_tasks.archive import keys, record_shards
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.offline.classify_file import classify_file
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.readers.base import Companions, Lead, Patient, Reading, Recording

LIBRARY = Path(ecg_tasks.__file__).parent
HOME_OF_SUFFIXES = {"readers/file_names.py", "signals/sample_files.py", "signals/sample_drop.py"}
"""The latter two write files."""


class PlainReader:
    """A made-up format: a magic word, age and sex, the rate, and a lead a line, in microvolts, from a time before standard names."""

    name = "plain"
    title = "a plain recording"

    def knows(self, name, head):  # noqa: ARG002 - the content says it
        """Tell by the magic word."""
        return head.startswith(b"PLAIN-ECG ")

    def companions(self, name, data):  # noqa: ARG002
        """Tell that it stands by itself."""
        return Companions()

    def read(self, files, name):
        """Read lead by lead."""
        (data,) = files.values()
        head, *lines = data.decode().splitlines()
        _, age, sex, fs = head.split()
        if not lines:
            raise BadInputError(Reason.INCOMPLETE, f"{name} has no leads")
        parts = [line.split(":") for line in lines]
        leads = [Lead(name=lead, units="uV", fs=float(fs), samples=np.array(values.split(), dtype=float)) for lead, values in parts]
        return Reading(recordings=(Recording(name=name, leads=tuple(leads), patient=Patient(id="P7", age=float(age), sex=sex)),))


@pytest.fixture
def plain(monkeypatch, make_wfdb):
    """Let the format be read; returns a recording in it, made of one in WFDB."""
    monkeypatch.setattr(readers, "READERS", [*readers.READERS, PlainReader()])
    found = readers.read("r.hea", make_wfdb("r", seed=3)).records[0]
    lines = [
        f"Lead {lead}:{' '.join(f'{1000 * value:.4f}' for value in row)}" for lead, row in zip(found.leads, found.samples, strict=True)
    ]
    return "\n".join([f"PLAIN-ECG 61 female {found.fs:g}", *lines]).encode()


def test_its_files_go_from_the_inbox_to_records(bucket, plain):
    """At once, whatever they are called, with standard leads in mV and the person; a bad one goes into quarantine with its sentence."""
    inbox.put_files([("ward/first.ecg1", plain), ("ward/noname", plain + b"\n"), ("ward/bad", b"PLAIN-ECG 61 female 500")])
    ingest_records.publish("r", [ingest_records.ingest_batch(job) for job in ingest_records.plan("r")])
    (key,) = bucket.list_keys(keys.RECORDS)
    (stored,) = record_shards.load_shard(bucket.get(key))
    record = stored.record
    assert (record.name, record.leads[:2], record.fs, record.age, record.sex) == ("ward/first.ecg1", ("I", "II"), 250.0, 61.0, "female")
    assert 0.1 < np.abs(record.samples).max() < 5
    assert stored.patient
    assert [key.rsplit("/", 1)[-1] for key in bucket.list_keys(keys.QUARANTINE)] == ["bad", "reason.json"]
    assert bucket.list_keys(keys.INBOX) == []


def test_its_files_are_classified_without_a_stack(tmp_path, plain):
    """The same reader serves ``./ecg classify``."""
    (tmp_path / "first.ecg1").write_bytes(plain)
    (result,) = classify_file(tmp_path / "first.ecg1").results
    assert result.name == "first.ecg1"
    assert 0 <= result.probability <= 1


def test_suffixes_have_one_home():
    """Outside it no module of the library compares a name with a suffix, or makes one: so a format's name changes in one place."""
    found = []
    for path in LIBRARY.rglob("*.py"):
        if path.relative_to(LIBRARY).as_posix() in HOME_OF_SUFFIXES:
            continue
        texts = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)]
        found += [
            f"{path.name}:{node.lineno}"
            for node in texts
            if isinstance(node.value, str) and re.fullmatch(r"\.(hea|dat|xyz|mat)|labels\.csv", node.value)
        ]
    assert found == []
