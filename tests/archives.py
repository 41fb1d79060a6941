"""Fixtures of the tests of what lies in a bucket: small drops, an archive, two nights. Each folder takes them in its conftest."""

import io
import json
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import wfdb

from ecg_tasks.archive import keys, registry, tables
from ecg_tasks.archive.documents import write_manifest
from ecg_tasks.archive.labelling import LabelEntry, write_labels
from ecg_tasks.learning.version import SPEC, ModelSpec
from tests import versions
from tests.whole_documents import night


def _beat_rows(n: int, *, seed: int = 0) -> np.ndarray:
    """Heartbeat rows, shape (n, 187): an R wave at both ends, a T wave between, zeros behind."""
    rng = np.random.default_rng(seed)
    t = np.arange(187)
    rows = np.zeros((n, 187))
    for row in range(n):
        length = rng.integers(90, 150)
        beat = np.exp(-((t / 4) ** 2)) + rng.uniform(0.1, 0.4) * np.exp(-(((t - 35) / 9) ** 2)) + np.exp(-(((t - length * 0.83) / 4) ** 2))
        beat = beat / beat.max() * 0.9 + 0.05 * rng.random(187)
        rows[row] = np.where(t < length, beat, 0)
    return np.round(rows, 6)


def _heartbeat_csv(rows: np.ndarray, labels: np.ndarray | None = None) -> bytes:
    """CSV bytes, with the label as column 188 when given."""
    table = rows if labels is None else np.column_stack([rows, labels])
    out = io.StringIO()
    np.savetxt(out, table, delimiter=",", fmt="%.6g")
    return out.getvalue().encode()


@pytest.fixture(scope="session")
def beat_rows():
    """Maker of heartbeat rows."""
    return _beat_rows


@pytest.fixture(scope="session")
def heartbeat_csv():
    """Maker of heartbeat CSV files."""
    return _heartbeat_csv


@pytest.fixture(scope="session")
def make_wfdb():
    """Files of a twelve-lead WFDB recording, made by wfdb's own writer."""

    def make(name: str, *, seed: int, seconds: float = 10.0, fs: int = 250) -> dict[str, bytes]:
        header, signal = _recording(seed, seconds, fs)
        return {f"{name}.hea": header.replace(_ANY_NAME.encode(), name.encode()), f"{name}.dat": signal}

    return make


_ANY_NAME = "any_name"


@cache
def _recording(seed: int, seconds: float, fs: int) -> tuple[bytes, bytes]:
    """Header and signal: wfdb's writer takes a tenth of a second, and many tests want the same recording under a name of their own."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * fs)) / fs
    phase = (t * rng.uniform(1.0, 1.4)) % 1.0
    wave = np.exp(-(((phase - 0.3) / 0.012) ** 2)) + 0.25 * np.exp(-(((phase - 0.55) / 0.04) ** 2))
    gains = rng.uniform(0.4, 1.2, 12)
    signal = wave[:, None] * gains + 0.01 * rng.standard_normal((len(t), 12))
    leads = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    with tempfile.TemporaryDirectory() as folder:
        wfdb.wrsamp(_ANY_NAME, fs=fs, units=["mV"] * 12, sig_name=leads, p_signal=signal, fmt=["16"] * 12, write_dir=folder)
        header, data = (Path(folder, f"{_ANY_NAME}{suffix}").read_bytes() for suffix in (".hea", ".dat"))
    return header, data


class Archive:
    """Records that were decided on, written straight into a bucket."""

    def __init__(self, store):
        self.store = store

    @staticmethod
    def ids(n: int, *, first: int = 0) -> list[str]:
        """Ids of n records; every tenth is due for a second reading."""
        return [f"{number:08x}{'0' * 24}" for number in range(first, first + n)]

    def put_model(self, recipe: str, *, version: str = "v1", threshold: float = 0.5, abstain=(0.4, 0.6)) -> None:
        """Let a version serve of which nothing but the specification is there."""
        spec = ModelSpec(
            recipe=recipe,
            recipe_digest="d",
            version=version,
            dataset_id="s",
            threshold=threshold,
            abstain=abstain,
            temperature=1.0,
            min_quality=0.5,
            image_shape=(1, 1, 1),
            network="aligned",
            n_weights=1,
            seed=0,
            synthetic=False,
            training={},
            environment={},
            sources=(),
        )
        self.store.put(keys.model_file(recipe, version, SPEC), spec.to_json())
        registry.write_champion(self.store, recipe=recipe, version=version, since="2026-01-01T00:00:00+00:00", who="test", why="test")

    def put_shard(
        self, shard: str, ids: Sequence[str], probability, *, recipe: str = "heartbeat", version: str = "v1", quality=1.0
    ) -> None:
        """The index and the predictions of one shard, and the manifest of the run that made them."""
        n, probability = len(ids), np.asarray(probability, dtype=np.float32)
        known = {"record_id": ids, "name": [f"name {one[:8]}" for one in ids], "source": ["s"] * n, "split_bucket": [-1] * n}
        known |= {"synthetic": [False] * n, "fs": [500.0] * n, "leads": [["II"]] * n, "received": [1] * n, "fold": [0] * n}
        index = {name: known.get(name, [None] * n) for name in tables.RECORD_INDEX.names}
        if not self.store.exists(keys.record_index(shard)):
            self.store.put(keys.record_index(shard), tables.dump(tables.RECORD_INDEX, index))
        predictions = {
            "record_id": ids,
            "probability": probability,
            "decision": np.where(np.isnan(probability), "uninterpretable", np.where(probability >= 0.5, "abnormal", "normal")).tolist(),
            "n_windows": [1] * n,
            "n_used": [1] * n,
            "quality": np.broadcast_to(np.float32(quality), n),
            "flags": [""] * n,
            "seconds_read": ["0-10 of 10 s"] * n,
            "beat_s": [0.8] * n,
        }
        self.store.put(keys.predictions(recipe, shard, version), tables.dump(tables.PREDICTIONS, predictions))
        write_manifest(self.store, night(f"{recipe}-{shard}-{version}"))

    def put_labels(self, labels: dict[str, str], *, when: str = "2026-01-01T00:00:00+00:00") -> None:
        """Labels that came with the recordings."""
        write_labels(
            self.store, [LabelEntry(record_id=one, label=label, who="source:labels.csv", when=when) for one, label in labels.items()]
        )


@pytest.fixture
def archive(bucket) -> Archive:
    """An archive that is empty yet."""
    return Archive(bucket)


@pytest.fixture(scope="session")
def two_nights(bucket_in, todays_version):
    """Everything in a bucket after two nights, the first decided by version aaaa00000001 and the second by aaaa00000002."""
    from ecg_tasks.archive.workspace import now
    from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
    from ecg_tasks.pipeline.intake import inbox
    from ecg_tasks.signals.sample_drop import sample_drop

    with pytest.MonkeyPatch.context() as patch:
        bucket = bucket_in(patch, ECG_RECIPES="heartbeat")
        inbox.put_files([*sample_drop(seed=3, n_patients=2, recordings_per_patient=1).items(), ("bad.csv", b"no numbers\n")])
        ingest_records.publish("i", [ingest_records.ingest_batch(job) for job in ingest_records.plan("i")])
        render_spectrograms.publish("r", [render_spectrograms.render_shard(job) for job in render_spectrograms.plan("r")])
        for version in ("aaaa00000001", "aaaa00000002"):
            changes = {} if version == "aaaa00000001" else {"threshold": 0.9, "abstain": [0.85, 0.95]}
            registry.write_version(bucket, "heartbeat", version, todays_version("heartbeat", version, **changes))
            registry.write_champion(bucket, recipe="heartbeat", version=version, since=now(), who="test", why="test")
            pin = classify_records.pin_champion(version, date="2026-01-02", scope="all", details=1)
            classify_records.write_report(pin, [classify_records.classify_shard(job) for job in classify_records.plan(pin)])
        return {key: bucket.get(key) for key in bucket.list_keys("")}


@pytest.fixture
def works(monkeypatch):
    """Every version works, without a process for each; returns the faults to be told instead, by version."""
    from ecg_tasks.pipeline.champions import fresh_process

    faults: dict[str, str] = {}

    def fault_of(files):
        return faults.get(json.loads(files["model.json"])["version"], "")

    monkeypatch.setattr(fresh_process, "fault_of", fault_of)
    return faults


@pytest.fixture
def evaluated_versions(bucket, works):
    """Versions a, b and c of ``heartbeat``, accepted by the gate against a, and d, rejected by it; a serves."""
    versions.evaluated_versions(bucket)
    return bucket
