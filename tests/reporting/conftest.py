"""Here: a small run to report on, with everything a report has to cope with in it."""

import numpy as np
import pytest

from ecg_tasks.counts import ReportCounts
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.labels import Decision
from ecg_tasks.reporting.model import (
    ModelSummary,
    RecordDetail,
    ReportedInput,
    RunReport,
    SpectrogramView,
    UnseenFigures,
)
from ecg_tasks.signals.record import HEARTBEAT_FS, HEARTBEAT_SAMPLES, STANDARD_LEADS, Record
from tests.run_tables import run_table

HOSTILE = "</script><script>alert('x')</script>\x00\x07\"&#x27;"
"""A name that closes tags and quotes, and holds characters that HTML forbids."""


def twelve_lead_record(name, *, seed=0, fs=500.0, seconds=10.0):
    """A wavy recording whose leads differ."""
    times = np.arange(int(fs * seconds)) / fs
    rng = np.random.default_rng(seed)
    samples = np.sin(2 * np.pi * times * np.linspace(1, 3, 12)[:, np.newaxis]) + 0.02 * rng.standard_normal((12, times.size))
    return Record(samples=samples.astype(np.float32), fs=fs, leads=STANDARD_LEADS, unit="mV", name=name, age=61.0, sex="female")


def heartbeat_record(name, *, seed=0):
    """A beat of 120 samples, padded with zeros."""
    samples = np.zeros((1, HEARTBEAT_SAMPLES), np.float32)
    samples[0, :120] = np.random.default_rng(seed).uniform(0.1, 1, 120)
    return Record(samples=samples, fs=HEARTBEAT_FS, leads=("II",), unit="relative", name=name)


def model_summary(recipe, **changes):
    """A model version with test figures, one of them not defined."""
    values = {
        "recipe": recipe,
        "version": "v1",
        "digest": "0123456789ab",
        "since": "2026-01-02T03:04:05Z",
        "threshold": 0.5,
        "abstain": (0.45, 0.55),
        "test_figures": {"auroc": Interval(0.87, 0.81, 0.92), "ppv": Interval(float("nan"), float("nan"), float("nan"))},
        "n_test_records": 98,
        "n_test_patients": 95,
        "split_unit": "patient",
        "synthetic": False,
        "baselines": {"beat length alone": Interval(0.74, 0.65, 0.82)},
    }
    return ModelSummary(**(values | changes))


def prediction(record, decision, probability, **changes):
    """One row of the predictions."""
    values = {
        "record_id": record.record_id,
        "name": record.name,
        "source_sha256": "ab" * 32,
        "decision": str(decision),
        "probability": probability,
        "recipe": "heartbeat" if record.is_heartbeat else "twelve_lead",
        "version": "v1",
        "n_windows": 1,
        "n_used": 0 if np.isnan(probability) else 1,
        "quality": 0.9,
        "flags": "",
        "seconds_read": "" if record.is_heartbeat else "0-10 of 10 s",
        "label": None,
        "synthetic": False,
    }
    return values | changes


def run_report(rows, *, pending=0, duplicates=0, **changes):
    """A report whose account follows from its rows."""
    table = run_table(rows)
    quarantined = changes.pop("quarantined", ())
    counts = table.decisions
    n_records = len(table) + pending
    counts = ReportCounts(
        received=n_records + duplicates + len(quarantined),
        records=n_records,
        duplicates=duplicates,
        quarantined=len(quarantined),
        classified=counts[Decision.NORMAL] + counts[Decision.ABNORMAL],
        uncertain=counts[Decision.UNCERTAIN],
        uninterpretable=counts[Decision.UNINTERPRETABLE],
        pending=pending,
    )
    values = {
        "run_id": "manual__2026-03-02T02:00:00+00:00",
        "date": "2026-03-02",
        "dag": "classify_records",
        "created_utc": "2026-03-02T02:03:17Z",
        "counts": counts,
        "models": [model_summary("twelve_lead"), model_summary("heartbeat", synthetic=True)],
        "predictions": table,
        "quarantined": quarantined,
        "unseen_absent": "No record of this run has a label.",
    }
    return RunReport(**(values | changes))


@pytest.fixture(scope="session")
def records():
    """Six recordings: hostile and formula-like names, a long one, a heartbeat."""
    return [
        twelve_lead_record(HOSTILE, seed=1),
        twelve_lead_record("=HYPERLINK(1)", seed=2),
        twelve_lead_record("plain", seed=3),
        twelve_lead_record("long", seed=4, fs=1000.0, seconds=35.0),
        heartbeat_record("@beats.csv#1", seed=5),
        heartbeat_record("beats.csv#2", seed=6),
    ]


@pytest.fixture(scope="session")
def report(records):
    """A run with every decision, quarantine, duplicates, pending and synthetic records."""
    rows = [
        prediction(records[0], Decision.ABNORMAL, 0.91, label="normal", flags="<b>mains_noise"),
        prediction(records[1], Decision.UNCERTAIN, 0.5),
        prediction(records[2], Decision.NORMAL, 0.1, label="normal"),
        prediction(records[3], Decision.UNINTERPRETABLE, float("nan"), quality=0.1, flags="baseline_wander,low_amplitude"),
        prediction(records[4], Decision.ABNORMAL, 1.0, synthetic=True),
        prediction(records[5], Decision.NORMAL, 0.0, synthetic=True),
    ]
    quarantined = [ReportedInput(name=HOSTILE + "\ud800", reason="non_finite", message="row 3 is <i>'nan'</i>", sha256="cd" * 32)]
    unseen = [
        UnseenFigures(
            recipe="twelve_lead",
            version="v1",
            figures={"auroc": Interval(0.86, 0.77, 0.93)},
            n_records=71,
            n_patients=70,
            split_unit="patient",
        )
    ]
    return run_report(rows, pending=3, duplicates=2, quarantined=quarantined, unseen=unseen, unseen_absent="", notes=["Three <wait>."])


@pytest.fixture(scope="session")
def details(records, report):
    """A page's worth of each record: twelve views, one view, none."""
    by_id = {record.record_id: record for record in records}
    axes = {"freqs_hz": np.linspace(0, 62.5, 33), "times_s": 0.256 + 0.128 * np.arange(75), "db_range": (-70.0, 10.0)}
    noise = np.random.default_rng(0).uniform(-80, 20, (12, 33, 75))
    found = []
    for row in report.predictions.find(list(by_id)):
        record = by_id[row["record_id"]]
        titles = STANDARD_LEADS if len(record.leads) == 12 else ("beat </svg><script>",)
        views = [SpectrogramView(title=title, values=noise[index], **axes) for index, title in enumerate(titles)]
        found.append(
            RecordDetail(record=record, row=row, spectrograms=views if row["n_used"] else (), shown_from_s=20.0, beats_s=(0.5, 21.0, 22.0))
        )
    return found
