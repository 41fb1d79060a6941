"""From what people see back to what they dropped: every link is followed, and every one that is broken is found."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ecg_tasks.archive import audit, keys, registry, tables
from ecg_tasks.archive.code_version import code_version
from ecg_tasks.archive.documents import RetrainManifest, StoredVerdict, write_manifest
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.names import DagId
from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
from ecg_tasks.pipeline.intake.inbox import put_files
from ecg_tasks.queries.lineage import tracing
from ecg_tasks.queries.lineage.links import Link, LinkState
from tests.plain_json import get_json, put_json

VERSION = "0123456789ab"


@pytest.fixture(scope="module")
def store(bucket_in, todays_version, tmp_path_factory):
    """A bucket with beats, a recording of two files and something unreadable, decided on by a version whose data set is known."""
    with pytest.MonkeyPatch.context() as patch:
        bucket = bucket_in(patch, ECG_RECIPES="heartbeat")
        put_files([("a/beats.csv", _beats()), ("a/bad.csv", b"1,2,3\n"), *_recording(tmp_path_factory.mktemp("wfdb"))])
        ingest_records.publish("intake", [ingest_records.ingest_batch(job) for job in ingest_records.plan("intake")])
        rows = _dataset(bucket)
        provenance = {
            f"{name}_sha256": bucket.sha256([keys.dataset("d1", file)])
            for name, file in (("manifest", "manifest.json"), ("split", "split.parquet"))
        }
        _put_version(bucket, todays_version("heartbeat", VERSION, dataset_id="d1"), provenance)
        registry.write_champion(bucket, recipe="heartbeat", version=VERSION, since="t0", who="gate", why="first")
        verdict = StoredVerdict(recipe="heartbeat", version=VERSION, promote=True, kind="first", reason="first")
        trained = {"dag": DagId.RETRAIN_MODEL, "run": "weekly", "recipe": "heartbeat", "version": VERSION, "dataset_id": "d1"}
        write_manifest(bucket, RetrainManifest(**trained, counts={}, verdict=verdict, rejected=False, serving=VERSION))
        render_spectrograms.publish("pictures", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("pictures")])
        pin = classify_records.pin_champion("night", date="2026-01-02", details=0)
        classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
        assert rows
        yield bucket


def _beats() -> bytes:
    import numpy as np

    rng = np.random.default_rng(1)
    t = np.arange(187)
    rows = [np.where(t < 120, np.exp(-((t / 4) ** 2)) + 0.3 * np.exp(-(((t - 35) / 9) ** 2)) + 0.05 * rng.random(187), 0) for _ in range(3)]
    return "\n".join(",".join(f"{value:.5f}" for value in row / row.max()) for row in rows).encode()


def _recording(folder) -> list[tuple[str, bytes]]:
    import numpy as np
    import wfdb

    t = np.arange(10 * 250) / 250
    wave = np.exp(-((((t * 1.2) % 1.0 - 0.3) / 0.02) ** 2)) + 0.01 * np.random.default_rng(2).standard_normal(len(t))
    wfdb.wrsamp("rec", fs=250, units=["mV"], sig_name=["II"], p_signal=wave[:, None], fmt=["16"], write_dir=str(folder))
    return [(f"b/rec{suffix}", (folder / f"rec{suffix}").read_bytes()) for suffix in (".hea", ".dat")]


def _dataset(bucket) -> int:
    """A data set of all records."""
    indexes = [(keys.stem(key), tables.load(bucket.get(key), ["record_id"])["record_id"]) for key in bucket.list_keys(keys.RECORD_INDEX)]
    rows = [(record_id, shard) for shard, ids in indexes for record_id in ids]
    n = len(rows)
    columns = {"record_id": [row[0] for row in rows], "shard": [row[1] for row in rows], "group": ["g"] * n, "bucket": [-1] * n}
    columns |= {"place": [0] * n, "side": ["test"] * n, "label": ["normal"] * n, "labelled_by": ["source:x"] * n, "synthetic": [False] * n}
    bucket.put(keys.dataset("d1", "split.parquet"), tables.dump(tables.SPLIT, columns))
    put_json(bucket, keys.dataset("d1", "manifest.json"), {"dataset_id": "d1"})
    return n


def _put_version(bucket, files, provenance) -> None:
    files["metrics.json"] = json.dumps(json.loads(files["metrics.json"]) | {"provenance": provenance}).encode()
    files["model.json"] = json.dumps(json.loads(files["model.json"]) | {"training": {"code": code_version()}}).encode()
    del files[registry.SUMS]
    sums = "\n".join(f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items()))
    registry.write_version(bucket, "heartbeat", VERSION, files | {registry.SUMS: sums.encode()})


@contextmanager
def changed(store, key: str, data: bytes | None) -> Iterator[None]:
    """The bucket with another content of one object, or without it."""
    before = store.get(key)
    if data is None:
        store.delete(key)
    else:
        store.replace(key, data)
    try:
        yield
    finally:
        store.replace(key, before)


def record_ids(store) -> dict[str, str]:
    """Ids of the records by name."""
    found = (tables.load(store.get(key), ["record_id", "name"]) for key in store.list_keys(keys.RECORD_INDEX))
    return {name: one for index in found for name, one in zip(index["name"], index["record_id"], strict=True)}


def what(link: Link, kind: str) -> list[Link]:
    """Links of one kind, anywhere beneath."""
    return [one for one in link.all() if one.what == kind]


def broken(link: Link) -> set[tuple[str, str]]:
    """Kinds and names of the links that are broken."""
    return {(one.what, one.name) for one in link.all() if one.state is LinkState.BROKEN}


def raw_of(store, name: str) -> str:
    """Key of the dropped file of this name."""
    (key,) = [key for key in store.list_keys(keys.RAW) if key.endswith(f"/{name}")]
    return key


def drop_of(store, name: str) -> str:
    """The source of the drop that this file came with."""
    inputs = get_json(store, keys.manifest("ingest_records", "intake"))["inputs"]
    (source,) = {item["source"] for item in inputs if any(file["key"].endswith(f"/{name}") for file in item["files"])}
    return source


@pytest.mark.parametrize(("name", "n_files"), [("a/beats.csv#2", 1), ("b/rec", 2)])
def test_a_record_leads_to_its_bytes_its_runs_and_its_version(store, name, n_files):
    """Of a heartbeat row and of a recording of two files: bytes, intake, night, version, data set, training, with code."""
    found = tracing.trace(store, record_ids(store)[name])
    assert broken(found) == set()
    assert found.state is LinkState.CHECKED
    assert found.metadata["dropped as"] == name
    (raw,) = what(found, "raw")
    assert (raw.state, len(raw.metadata)) == (LinkState.CHECKED, n_files)
    for kind, run in (
        ("ingest_records", "intake"),
        ("classify_records", "night"),
        ("retrain_model", "weekly"),
    ):
        assert {one.name for one in what(found, kind)} == {run}
    assert what(found, "ingest_records")[0].state is what(found, "classify_records")[0].state is LinkState.CHECKED
    assert {one.state for kind in ("version", "dataset") for one in what(found, kind)} == {LinkState.CHECKED}
    codes = {one.name for one in what(found, "code") if one.state is LinkState.RECORDED}
    assert codes == {f"{code_version()['version']}, tree {code_version()['tree']}"}


def test_a_run_leads_to_every_dropped_byte(store):
    """A night's run leads over its intake to all that was dropped; it may be named as Airflow does."""
    found = tracing.trace(store, "night")
    assert broken(found) == set()
    sources = {drop_of(store, name) for name in ("beats.csv", "bad.csv", "rec.dat")}
    assert {one.name for one in what(found, "raw")} == sources
    assert {one.state for one in what(found, "raw")} == {LinkState.CHECKED}
    assert [one.name for one in what(tracing.trace(store, "intake"), "raw")] == sorted(sources)


def test_a_version_leads_to_the_bytes_it_was_trained_on(store):
    """By its data set, whose digests it names, to the drops that hold its records; and to who let it serve."""
    for name in (VERSION, f"heartbeat/{VERSION}"):
        found = tracing.trace(store, name)
        assert broken(found) == set()
        assert {one.name for one in what(found, "raw")} == {drop_of(store, name) for name in ("beats.csv", "rec.dat")}
        assert [one.metadata["who"] for one in what(found, "decision")] == ["gate"]


def test_dropped_bytes_lead_to_what_became_of_them(store):
    """A file leads to its run and its records, or to its quarantine with the reason."""
    beats = tracing.trace(store, raw_of(store, "beats.csv").split("/")[1])
    assert {one.name for one in what(beats, "record")} == {one for name, one in record_ids(store).items() if "beats" in name}
    bad = tracing.trace(store, raw_of(store, "bad.csv").split("/")[1])
    assert [one.metadata["reason"] for one in what(bad, "quarantine")] == ["wrong_width"]
    assert broken(beats) | broken(bad) == set()


def test_changed_bytes_are_found(store):
    """One other byte in raw/ breaks the record, the run and the version that rest on it."""
    key = raw_of(store, "rec.dat")
    source = drop_of(store, "rec.dat")
    with changed(store, key, b"x" + store.get(key)[1:]):
        for name in (record_ids(store)["b/rec"], "night", VERSION, source):
            assert broken(tracing.trace(store, name)) == {("raw", source)}
        file = key.split("/")[1]
        assert broken(tracing.trace(store, file)) == {("raw", file), ("raw", source)}


def test_a_file_of_several_leads_to_its_drop(store):
    """The SHA-256 of a signal file alone, as a person may compute it, leads to the recording that it came with."""
    found = tracing.trace(store, raw_of(store, "rec.dat").split("/")[1])
    assert [one.name for one in what(found, "raw")][1:] == [drop_of(store, "rec.dat")]
    assert broken(found) == set()
    assert {one.name for one in what(found, "ingest_records")} == {"intake"}


def test_a_changed_list_is_found(store):
    """A list of files that says something else than it did is not the one that the drop is named by."""
    source = drop_of(store, "rec.dat")
    with changed(store, keys.raw_list(source), b"{}"):
        assert broken(tracing.trace(store, record_ids(store)["b/rec"])) == {("raw", source)}


def test_bytes_that_are_gone_are_found(store):
    """A drop of which a file is missing has another digest."""
    key = raw_of(store, "rec.dat")
    with changed(store, key, None):
        assert broken(tracing.trace(store, record_ids(store)["b/rec"])) == {("raw", drop_of(store, "rec.dat"))}
    key = raw_of(store, "beats.csv")
    with changed(store, key, None):
        assert broken(tracing.trace(store, "night")) == {("raw", key.split("/")[1])}


def test_changed_samples_are_found(store):
    """A shard with other samples no longer has the id of its record."""
    record_id = record_ids(store)["b/rec"]
    shard = next(key for key in store.list_keys(keys.RECORDS) if record_id in tables.load(store.get(key), ["record_id"])["record_id"])
    columns = tables.load(store.get(shard))
    columns["samples"] = [b"\0\0\0\0" + samples[4:] for samples in columns["samples"]]
    from ecg_tasks.queries import records

    records._records.forget()
    with changed(store, shard, tables.dump(tables.RECORDS, columns)):
        assert broken(tracing.trace(store, record_id)) == {("record", record_id)}


@pytest.mark.parametrize(("file", "kind"), [("model.tflite", "version"), ("card.md", "version")])
def test_a_changed_version_is_found(store, file, kind):
    """A file that SHA256SUMS does not know breaks the version, wherever one comes from."""
    with changed(store, keys.model_file("heartbeat", VERSION, file), b"other"):
        for name in (VERSION, "night", record_ids(store)["b/rec"]):
            assert broken(tracing.trace(store, name)) == {(kind, f"heartbeat/{VERSION}")}


@pytest.mark.parametrize("file", ["manifest.json", "split.parquet"])
def test_a_changed_data_set_is_found(store, file):
    """A manifest or a split that the version was not trained on breaks its data set."""
    other = tables.load(store.get(keys.dataset("d1", "split.parquet")))
    other["label"] = ["abnormal"] * len(other["label"])
    data = b"{}" if file == "manifest.json" else tables.dump(tables.SPLIT, other)
    with changed(store, keys.dataset("d1", file), data):
        assert broken(tracing.trace(store, VERSION)) == {("dataset", "d1")}


@pytest.mark.parametrize(("dag", "run"), [("ingest_records", "intake"), ("classify_records", "night")])
def test_a_changed_manifest_is_found(store, dag, run):
    """An account that somebody improved is not the one that the log knows."""
    key = keys.manifest(dag, run)
    manifest = get_json(store, key)
    manifest["account"] |= {"quarantined": 0}
    with changed(store, key, json.dumps(manifest).encode()):
        assert broken(tracing.trace(store, run)) == {(dag, run)}


def test_an_older_manifest_is_held_against_what_was_logged_then(store):
    """An account without a field that came later has the digest of what was stored, not of what it would be today."""
    manifest = get_json(store, keys.manifest("ingest_records", "intake")) | {"run": "older"}
    del manifest["account"]["waiting"]
    key = put_json(store, keys.manifest("ingest_records", "older"), manifest)
    assert tracing.trace(store, "older").state is LinkState.ABSENT
    detail = {"account": manifest["account"], "labels": manifest["labels"]["stored"], "manifest_sha256": store.sha256([key])}
    audit.append(store, who="ingest_records/older", action="ingest", subject="older", detail=detail)
    assert tracing.trace(store, "older").state is LinkState.CHECKED
    store.delete(key)


def test_a_night_whose_entry_is_gone_is_found(store):
    """The log without the entry that the manifest names breaks the run."""
    (name,) = [name for name, entry in audit.entries(store) if entry.action == "classify"]
    with changed(store, name.key, None):
        assert broken(tracing.trace(store, "night")) == {("classify_records", "night")}


@pytest.mark.parametrize("name", ["0" * 64, "0" * 32, "0" * 12, "nothing", "heartbeat/none", "../up", ""])
def test_what_is_not_there_is_refused(store, name):
    """A name that nothing has is refused with what it takes."""
    with pytest.raises(ConfigurationError, match="it takes a record's id"):
        tracing.trace(store, name)
