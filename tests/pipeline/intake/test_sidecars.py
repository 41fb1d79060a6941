"""A signals.json goes along with the arrays that need it, whichever comes first, and is never refused while they come."""

from datetime import UTC, datetime, timedelta

import pytest

from benchmarks import written_files as written
from ecg_tasks.archive import keys
from ecg_tasks.pipeline.intake import drops
from ecg_tasks.pipeline.maintenance.checksums import audit_checksums
from tests.pipeline.intake.test_arrivals import Inbox, inbox  # noqa: F401 - a fixture

ONE, OTHER = written.made(), written.made(1)
SIDECAR = written.sidecar(ONE)


def array(one=ONE):
    """An array that says nothing of itself."""
    return written.npy(one)["r.npy"]


def untold(write):
    """A file of a writer, without what it says of its signals."""
    data = write(ONE)
    return next(iter(data.values()))


def fates(manifest):
    """What became of each input, by name."""
    return {item["name"]: item["fate"] for item in manifest["inputs"]}


def test_an_array_waits_for_its_sidecar(inbox: Inbox):  # noqa: F811
    """It comes first, waits, and is read when the sidecar is there; the sidecar stays for further ones, and is counted."""
    inbox.put({"w/a.npy": array()})
    assert inbox.run()["waiting_for"] == {"a signals.json that describes it": 1}
    inbox.put({"w/signals.json": SIDECAR})
    manifest = inbox.run()
    assert (manifest["account"]["records"], manifest["account"]["waiting"], inbox.left()) == (1, 1, ["w/signals.json"])
    assert manifest["waiting_for"] == {"files that it describes": 1}
    assert {file["key"] for item in manifest["inputs"] for file in item["files"]} == {"inbox/w/a.npy", "inbox/w/signals.json"}
    inbox.put({"w/b.npy": array(OTHER)})
    assert inbox.run()["account"]["records"] == 1
    manifest = inbox.late()
    assert fates(manifest) == {"w/signals.json": "passed_over"}
    assert (manifest["account"]["received"], manifest["account"]["passed_over"], inbox.left()) == (0, 1, [])
    assert audit_checksums(inbox.store, run="x", sample=100).damaged == ()


def test_the_sidecars_bytes_lie_with_each_of_its_arrays(inbox: Inbox):  # noqa: F811
    """So what is kept of a drop can be read again by itself."""
    inbox.put({"w/a.npy": array(), "w/b.npy": array(OTHER), "w/signals.json": SIDECAR})
    manifest = inbox.late()
    assert manifest["account"] | {"records": 2, "passed_over": 1, "quarantined": 0, "waiting": 0} == manifest["account"]
    sums = {file["sha256"] for item in manifest["inputs"] for file in item["files"] if file["key"].endswith("signals.json")}
    assert [inbox.store.get(keys.raw(sha256, "signals.json")) for sha256 in sums] == [SIDECAR]
    assert [len(item["files"]) for item in manifest["inputs"]] == [2, 2, 1]
    assert audit_checksums(inbox.store, run="x", sample=100).damaged == ()
    assert inbox.left() == []


def test_an_array_without_a_sidecar_is_refused_in_the_end(inbox: Inbox):  # noqa: F811
    """With the line to write."""
    inbox.put({"w/a.npy": array()})
    (entry,) = inbox.late()["quarantined"]
    assert entry["reason"] == "unit_unknown"
    assert 'Put signals.json into its folder, with the true values: {"fs": 500, "unit": "mV", "leads": ["I",' in entry["message"]


@pytest.mark.parametrize(
    ("name", "write"), [("a.npz", written.npz), ("a.h5", written.hdf5), ("a.parquet", written.lead_parquet), ("a.csv", written.lead_csv)]
)
def test_what_says_all_by_itself_is_read_in_the_end_without_one(inbox: Inbox, name, write):  # noqa: F811
    """A table and an archive that tell their rate and units; a CSV at once, since its first lines tell it."""
    inbox.put({name: untold(write)})
    first = inbox.run()["account"]
    assert (first["records"], first["waiting"]) == ((1, 0) if name == "a.csv" else (0, 1))
    if name != "a.csv":
        assert inbox.late()["account"]["records"] == 1
    assert inbox.left() == []


def test_a_csv_takes_a_sidecar_that_is_there(inbox: Inbox):  # noqa: F811
    """Leads in mV without a word of it; heartbeats beside them are read as ever, without it."""
    rows = "\n".join([",".join(ONE.leads), *(",".join(f"{value:.3f}" for value in row) for row in ONE.millivolts), ""])
    inbox.put({"a.csv": rows.encode(), "beats.csv": written.heartbeat_csv(ONE)["r.csv"], "a.signals.json": b'{"fs": 500, "unit": "mV"}'})
    manifest = inbox.run()
    assert fates(manifest) == {"a.csv": "records", "beats.csv": "records"}
    assert {item["name"]: len(item["files"]) for item in manifest["inputs"]} == {"a.csv": 2, "beats.csv": 1}


def test_a_matlab_file_of_its_own_needs_no_header(inbox: Inbox):  # noqa: F811
    """With a sidecar it is read at once; without one it may still be WFDB's, and waits for a header."""
    data = written.mat(ONE)["r.mat"]
    inbox.put({"a.mat": data})
    assert inbox.run()["waiting_for"] == {"a header that names it": 1}
    assert inbox.late()["account"]["records"] == 1
    inbox.client.modified = datetime.now(UTC)
    inbox.put({"b/a.mat": written.mat(OTHER)["r.mat"], "b/signals.json": b"{}"})
    assert inbox.run()["account"]["records"] == 1


def test_a_sidecar_that_is_wrong_is_told_with_its_array(inbox: Inbox):  # noqa: F811
    """The array is refused for it; the sidecar is passed over."""
    inbox.put({"a.npy": array(), "signals.json": b"{"})
    manifest = inbox.late()
    assert [(entry["name"], entry["reason"]) for entry in manifest["quarantined"]] == [("a.npy", "unreadable")]
    assert fates(manifest)["signals.json"] == "passed_over"


def test_many_recordings_of_one_file_are_counted_one_by_one(inbox: Inbox):  # noqa: F811
    """A file like CODE-15's: a record an exam; the same file again gives duplicates."""
    files = written.code15([written.made(seed, n_samples=4000) for seed in range(3)], exams=[11, 12, 13])
    inbox.put({f"w/{name}": data for name, data in files.items()})
    manifest = inbox.run()
    assert manifest["account"]["records"] == 3
    inbox.put({"w/again.hdf5": files["exams.hdf5"], "w/labels.csv": b"record,label\nagain.hdf5#12,abnormal\n"})
    manifest = inbox.run()
    assert (manifest["account"]["records"], manifest["account"]["duplicates"]) == (0, 3)
    assert manifest["labels"]["stored"] == 1


def test_an_empty_array_file_is_told_in_the_end(inbox: Inbox):  # noqa: F811
    """It waits for its content, like any file."""
    inbox.put({"a.npy": b""})
    assert inbox.run()["waiting_for"] == {"its content": 1}
    assert [entry["reason"] for entry in inbox.late()["quarantined"]] == ["unknown_format"]


@pytest.mark.parametrize("bound", ["max_unread", "max_drops"])
def test_a_sidecar_stays_while_arrays_are_left_to_the_next_run(inbox: Inbox, bound):  # noqa: F811
    """One may describe more arrays than a run takes, for longer than the hour after which it is passed over."""
    inbox.put({"w/a.npy": array(), "w/b.npy": array(OTHER), "w/signals.json": SIDECAR})
    long_after = datetime.now(UTC) + timedelta(hours=3)
    listed = list(inbox.store.list_objects(keys.INBOX))
    found = drops.sort_inbox(inbox.store, listed, at=long_after, grace_s=60, max_bytes=10**8, **{bound: 1})
    assert [(drop.name, drop.fate) for drop in found.drops] == [("w/a.npy", "")]
    assert "inbox/w/signals.json" in found.waiting
    assert found.left == 1
