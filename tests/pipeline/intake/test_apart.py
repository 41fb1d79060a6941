"""A file that ends the process that reads it costs nobody else."""

import gzip
import json
import os
import signal
import subprocess
import sys
from functools import cache

import pytest

from ecg_tasks.archive import keys
from ecg_tasks.errors import Reason, SignalError
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import apart, inbox
from ecg_tasks.readers.heartbeat_csv import HeartbeatCsvReader

HUNGRY = gzip.compress(b"1,2\n" * 1_000_000)
"""A million lines, which take more than 100 MB to be split, in some kilobytes."""
BOUNDS = {"MEMORY_BYTES": 1024**3, "MEMORY_PER_BYTE": 16, "CPU_S": 60, "CPU_S_PER_MB": 2}


@pytest.fixture
def bounds(monkeypatch):
    """Other bounds than those of real files."""

    def change(**changes: int) -> None:
        for name, value in (BOUNDS | changes).items():
            monkeypatch.setattr(apart, name, value)

    return change


@cache
def baseline() -> int:
    """Bytes of memory that a process apart has taken before it reads anything, and room for a small file."""
    code = "import ecg_tasks.readers, pandas, pathlib; print(pathlib.Path('/proc/self/status').read_text())"
    status = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return data_bytes(status) + 40_000_000


def data_bytes(status: str) -> int:
    """Private memory, of which ``RLIMIT_DATA`` is the bound, from what the kernel says of a process."""
    (line,) = [line for line in status.splitlines() if line.startswith("VmData")]
    return int(line.split()[1]) * 1024


def test_a_file_within_its_bounds_has_no_fault(beat_rows, heartbeat_csv):
    """What can be read, and what is refused with a reason, both leave the process alive, which reads the next one."""
    with apart.Trial() as trial:
        for name, data in {"a.csv": heartbeat_csv(beat_rows(3)), "b.csv": b"no beat\n", "c.jpg": b"\xff\xd8\xff"}.items():
            assert trial.fault_of(name, {name: data}) is None
        assert trial._process is not None


def test_memory_and_time_are_bounded_by_the_kernel(bounds, beat_rows, heartbeat_csv):
    """A file that takes too much memory or too long is told with its bound, and the next one is read by a new process."""
    good = heartbeat_csv(beat_rows(3))
    slow = heartbeat_csv(beat_rows(40)) * 1500
    with apart.Trial() as trial:
        bounds(MEMORY_BYTES=baseline(), MEMORY_PER_BYTE=0)
        fault = trial.fault_of("hungry.csv.gz", {"hungry.csv.gz": HUNGRY})
        assert fault is not None
        assert fault.reason is Reason.TOO_LARGE
        assert "hungry.csv.gz: reading its" in fault.message
        assert "more memory than there is" in fault.message
        assert trial.fault_of("a.csv", {"a.csv": good}) is None
        bounds(CPU_S=0, CPU_S_PER_MB=0)
        fault = trial.fault_of("slow.csv", {"slow.csv": slow})
        assert fault is not None
        assert fault.reason is Reason.TOO_LARGE
        assert "took more than 0 s" in fault.message
        bounds()
        assert trial.fault_of("a.csv", {"a.csv": good}) is None


def test_a_process_that_is_killed_is_told(beat_rows, heartbeat_csv):
    """A process that somebody, or the kernel short of memory, kills while it reads costs the file it read."""
    good = heartbeat_csv(beat_rows(3))
    with apart.Trial() as trial:
        assert trial.fault_of("a.csv", {"a.csv": good}) is None
        for sent, reason in ((signal.SIGKILL, Reason.TOO_LARGE), (signal.SIGSEGV, Reason.UNREADABLE)):
            assert trial.fault_of("a.csv", {"a.csv": good}) is None
            process = trial._process
            assert process is not None
            process.send_signal(sent)
            process.wait()
            fault = trial.fault_of("a.csv", {"a.csv": good})
            assert fault is not None
            assert fault.reason is reason


def test_one_hostile_file_does_not_cost_its_batch(bucket, bounds, beat_rows, heartbeat_csv, monkeypatch):
    """A file whose reading ends the task is found by the next try and refused; the other files of its batch are taken over."""
    inbox.put_files(
        [("w/a.csv", heartbeat_csv(beat_rows(3))), ("w/hungry.csv.gz", HUNGRY), ("w/z.csv", heartbeat_csv(beat_rows(4, seed=1)))]
    )
    (job,) = ingest_records.plan("r1")
    with monkeypatch.context() as patch:  # as the kernel does to a task without memory: nothing after it is written
        patch.setattr(HeartbeatCsvReader, "read", lambda *_: (_ for _ in ()).throw(MemoryError))
        with pytest.raises(MemoryError):
            ingest_records.ingest_batch(job)
    bounds(MEMORY_BYTES=baseline(), MEMORY_PER_BYTE=0)
    ingest_records.publish("r1", [ingest_records.ingest_batch(job, tried_before=True)])
    manifest = json.loads(bucket.get(keys.manifest("ingest_records", "r1")))
    assert {name: manifest["account"][name] for name in ("received", "records", "quarantined")} == {
        "received": 8,
        "records": 7,
        "quarantined": 1,
    }
    (entry,) = manifest["quarantined"]
    assert (entry["name"], entry["reason"]) == ("w/hungry.csv.gz", "too_large")
    (kept,) = [key for key in bucket.list_keys(keys.QUARANTINE) if key.endswith("/hungry.csv.gz")]
    assert bucket.get(kept) == HUNGRY
    assert bucket.list_keys(keys.INBOX) == []


def test_a_third_try_knows_what_the_second_learnt(bucket, bounds, beat_rows, heartbeat_csv, monkeypatch):
    """A file that ended a process once is not read again by a later try of the same task."""
    inbox.put_files([("w/a.csv", heartbeat_csv(beat_rows(3))), ("w/hungry.csv.gz", HUNGRY)])
    (job,) = ingest_records.plan("r1")
    bounds(MEMORY_BYTES=baseline(), MEMORY_PER_BYTE=0)
    put = bucket.put

    def ends_late(key, *rest, **more):
        if "/results/" in key:
            raise KeyboardInterrupt
        return put(key, *rest, **more)

    monkeypatch.setattr(type(bucket), "put", lambda _, *rest, **more: ends_late(*rest, **more))
    tried = []
    fault_of = apart.Trial.fault_of
    monkeypatch.setattr(apart.Trial, "fault_of", lambda trial, name, files: tried.append(name) or fault_of(trial, name, files))
    for tried_before in (False, True, True):
        with pytest.raises(KeyboardInterrupt):
            ingest_records.ingest_batch(job, tried_before=tried_before)
    assert sorted(tried) == ["w/a.csv", "w/a.csv", "w/hungry.csv.gz"]


def test_a_reader_that_fails_costs_its_file_only(bucket, beat_rows, heartbeat_csv, monkeypatch, caplog):
    """An error that no reader should raise is logged and told, and the other files of the batch are read in the same try."""
    inbox.put_files([("w/a.csv", heartbeat_csv(beat_rows(3))), ("w/b.csv", heartbeat_csv(beat_rows(3, seed=1)))])
    whole = HeartbeatCsvReader.read

    def fails(reader, files, name):
        if name == "w/b.csv":
            raise SignalError("2 leads of different lengths")
        return whole(reader, files, name)

    monkeypatch.setattr(HeartbeatCsvReader, "read", fails)
    (job,) = ingest_records.plan("r1")
    ingest_records.publish("r1", [ingest_records.ingest_batch(job)])
    manifest = json.loads(bucket.get(keys.manifest("ingest_records", "r1")))
    assert manifest["account"]["records"] == 3
    assert [(entry["name"], entry["reason"]) for entry in manifest["quarantined"]] == [("w/b.csv", "unreadable")]
    assert "w/b.csv: its reader failed (SignalError), which is a fault of the program" in manifest["quarantined"][0]["message"]
    assert "2 leads of different lengths" in caplog.text


def test_the_process_apart_lives_no_longer_than_its_task():
    """Nothing is left behind when the trial is over."""
    with apart.Trial() as trial:
        assert trial.fault_of("a.csv", {"a.csv": b"1,2\n"}) is None
        process = trial._process
        assert process is not None
    assert process.poll() == 0
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)
