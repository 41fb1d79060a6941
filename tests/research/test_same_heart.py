"""Changes of a recording leave its heart as it is, answers are compared recording by recording, and the champion hangs on none of them.

The champion decides on the recordings of two folds of PTB-XL; with ``ECG_EVERY_RECORDING=1`` on those of eight, which takes a minute.
"""

import bz2
import csv
import importlib.util
import io
import os
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.labels import Decision, Label
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize
from research.same_heart import CHANGES, TWINS, Answer, compare, difference, read_folder

DATA = Path(__file__).parents[2] / "../shared/data"
FOLDS, N_RECORDINGS = (range(1, 9), 344) if os.environ.get("ECG_EVERY_RECORDING") else (range(1, 3), 106)
WANTED = ("250 Hz", "100 Hz", "30 s, by repetition", "high-pass 0.05 Hz", "high-pass 0.5 Hz", "notch 50 Hz", "notch 60 Hz", TWINS)
"""Changes that may move P by 0.005 in the middle, and leave 98 % of the decisions."""


@pytest.fixture(scope="module")
def record():
    """A made heart over ten seconds at 500 Hz."""
    rng = np.random.default_rng(3)
    samples = synthesize(draw_heart(rng, label=Label.NORMAL), fs=500.0, duration_s=10.0, rng=rng)
    return Record(samples=samples.astype(np.float32), fs=500.0, leads=STANDARD_LEADS, unit="mV", name="r")


LASTS = {"30 s, by repetition": 30.0, "first 8 s": 8.0, "first 6 s": 6.0, "first 5 s": 5.0}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_does_what_it_is_called(record, name):
    """Rates and lengths are those of its name; what a filter takes away is small against the R peaks."""
    changed = CHANGES[name](record)
    assert changed.duration_s == pytest.approx(LASTS.get(name, 10.0))
    assert changed.fs == (float(name.split()[0]) if name in ("250 Hz", "100 Hz") else 500.0)
    if changed.samples.shape == record.samples.shape:
        assert changed.record_id != record.record_id
        moved = (changed.samples - np.median(changed.samples, axis=1, keepdims=True)) - record.samples
        assert np.abs(moved - np.median(moved, axis=1, keepdims=True)).max() < 0.5 * np.ptp(record.samples)


@pytest.mark.parametrize(
    ("name", "hz", "left"),
    [
        ("high-pass 0.05 Hz", 0.05, 0.5),
        ("high-pass 0.5 Hz", 0.5, 0.5),
        ("high-pass 0.05 Hz, one way", 0.05, 0.5**0.5),
        ("high-pass 0.5 Hz, one way", 0.5, 0.5**0.5),
        ("high-pass 0.5 Hz", 0.25, 0.2),
        ("high-pass 0.5 Hz, one way", 0.25, 0.2**0.5),
        ("notch 50 Hz", 50, 0),
        ("notch 60 Hz", 60, 0),
        *((name, 10, 1) for name in CHANGES if "pass" in name or "notch" in name),
    ],
)
def test_a_filter_takes_away_what_it_is_called_after(name, hz, left):
    """Of a wave at its frequency a high-pass leaves half where it is run both ways, and 0.71 where once; a notch leaves nothing.

    At half of it one of first order leaves a fifth, or the root of that: ``f**2 / (f**2 + cutoff**2)``.
    """
    wave = np.sin(2 * np.pi * hz * np.arange(100_000) / 500).astype(np.float32)
    filtered = CHANGES[name](Record(samples=wave[None], fs=500.0, leads=("II",), unit="mV", name="r")).samples[0]
    middle = slice(30_000, 70_000)
    assert filtered[middle].std() / wave[middle].std() == pytest.approx(left, abs=0.02)


def test_answers_are_compared_one_by_one():
    """A probability that is missing on one side moves nothing; a recording that is not taken any more has another decision."""
    before = [Answer(probability=0.2, decision=Decision.NORMAL), Answer(probability=0.9, decision=Decision.ABNORMAL), Answer()]
    before += [Answer(probability=0.5, decision=Decision.UNCERTAIN), Answer(decision=Decision.UNINTERPRETABLE)]
    after = [Answer(probability=0.3, decision=Decision.NORMAL), Answer(probability=0.4, decision=Decision.NORMAL), Answer()]
    after += [Answer(), Answer(decision=Decision.UNINTERPRETABLE)]
    found = difference(before, after)
    assert (found.n, found.n_not_taken, found.equal) == (4, 1, 0.5)
    assert (found.median, found.p95) == pytest.approx((0.3, 0.48))


def unpacked(fold, ids, rows):
    """Those of a fold of PTB-XL at 100 Hz that are wanted, by their numbers."""
    spec = importlib.util.spec_from_file_location("unpack", DATA / "ptbxl100/unpack.py")
    unpack = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpack)
    part = [row["ecg_id"] for row in rows if int(row["strat_fold"]) == fold]
    samples = unpack.samples(fold, len(part))
    return {
        f"{int(number):05d}": Record(
            samples=(one.T / 1000).astype(np.float32), fs=100.0, leads=STANDARD_LEADS, unit="mV", name=f"{int(number):05d}_lr"
        )
        for number, one in zip(part, samples, strict=True)
        if f"{int(number):05d}" in ids
    }


@pytest.fixture(scope="module")
def pairs():
    """Recordings of PTB-XL at 500 Hz, and the same as PTB-XL has them at 100 Hz."""
    records = read_folder(DATA / "ptbxl")
    assert len(records) == 353
    rows = list(csv.DictReader(io.StringIO(bz2.decompress((DATA / "ptbxl100/ptbxl_database.csv.bz2").read_bytes()).decode())))
    twins = {number: one for fold in FOLDS for number, one in unpacked(fold, records, rows).items()}
    assert len(twins) == N_RECORDINGS
    return {number: one for number, one in records.items() if number in twins}, twins


@pytest.fixture(scope="module")
def differences(pairs):
    """What each change does to the decisions of the shipped champion on twelve leads."""
    return compare(*pairs, "twelve_lead", SHIPPED_MODELS, changes=[name for name in WANTED if name in CHANGES])


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "ptbxl100").is_dir(), reason="PTB-XL's recordings are not beside the checkout (shared/data)")
@pytest.mark.parametrize("name", WANTED)
def test_the_same_heart_gets_the_same_answer(differences, name):
    """At other rates, over 30 s, through other high-passes and notches; over fewer seconds, the answer may move further."""
    found = differences[name]
    assert found.n_not_taken == 0
    assert found.median <= 0.005
    assert found.equal >= 0.98
