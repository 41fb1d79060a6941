"""Deleting what an explanation marks moves the answer more than deleting as much elsewhere: on made hearts, and on real recordings."""

from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.labels import Label
from ecg_tasks.offline.classify_file import read_path, shipped_classifier
from ecg_tasks.signals.recipes import recipe_of
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize
from research.explanation_truth import STEP_S, MarkedBeats, moved, summary, truths

DATA = Path(__file__).parents[2] / "../shared/data/ptbxl"


@pytest.fixture(scope="module")
def classifier():
    """The shipped champion of twelve leads."""
    return shipped_classifier("twelve_lead")


def made(seed, label=Label.ABNORMAL):
    """A made heart over ten seconds at 500 Hz."""
    rng = np.random.default_rng(seed)
    samples = synthesize(draw_heart(rng, label=label), fs=500.0, duration_s=10.0, rng=rng)
    return Record(samples=samples.astype(np.float32), fs=500.0, leads=STANDARD_LEADS, unit="mV", name=f"r{seed}")


def test_only_what_is_masked_is_deleted_and_at_every_beat(classifier):
    """In V2 from 0.1 to 0.2 s after each R peak a straight line, or the typical beat between the same ends; nothing else is touched."""
    record = made(1)
    beats = MarkedBeats.of(record, recipe_of("twelve_lead", classifier.spec.recipe_digest))
    assert len(beats.r_peaks_s) >= 6
    at_s = (np.arange(beats.n_steps) + 0.5) * STEP_S - beats.before_s
    mask = np.zeros((12, beats.n_steps), dtype=bool)
    mask[7] = (at_s > 0.1) & (at_s < 0.2)
    for typical in (None, np.tile(np.sin(at_s * 40), (12, 1))):
        changed = beats.without(mask, typical)
        differs = changed.samples != record.samples
        assert not np.delete(differs, 7, axis=0).any()
        since = (np.flatnonzero(differs[7]) / record.fs)[:, None] - beats.r_peaks_s
        nearest = np.take_along_axis(since, np.abs(since - 0.15).argmin(axis=1)[:, None], axis=1)
        assert 0.09 < nearest.min() < 0.12
        assert 0.18 < nearest.max() < 0.21
        first, last = (round((beats.r_peaks_s[2] + s) * record.fs) for s in (0.12, 0.18))
        bend = np.abs(np.diff(changed.samples[7, first:last], n=2)).max()
        assert (bend < 1e-5) == (typical is None)


def test_other_places_have_the_same_shape_and_none_of_the_marked(classifier):
    """As many steps of as many leads; a mask that leaves no room has no other place."""
    mask = np.zeros((12, 128), dtype=bool)
    mask[[6, 7, 8], 60:80] = True
    others = moved(mask, np.random.default_rng(0))
    assert len(others) > 10
    for other in others:
        assert not (other & mask).any()
        assert sorted(other.sum(axis=1)) == sorted(mask.sum(axis=1))
    assert moved(np.ones((12, 128), dtype=bool), np.random.default_rng(0)) == []


def by_kind(records, classifier):
    """Figures over these recordings, by what was deleted and what stands in its place."""
    found = {}
    for kind, one in truths(records, classifier):
        found.setdefault(kind, []).append(one)
    return {kind: summary(lines) for kind, lines in found.items()}


def test_what_is_marked_moves_the_answer_of_made_hearts(classifier):
    """Deleted from the recording itself, whatever stands in its place."""
    records = {f"{seed}": made(seed, label) for seed, label in enumerate((Label.ABNORMAL, Label.ABNORMAL, Label.NORMAL, Label.NORMAL))}
    found = by_kind(records, classifier)
    for way in ("flat", "typical"):
        assert found[f"shades, {way}"]["marked"] > found[f"shades, {way}"]["elsewhere"]


@pytest.mark.slow
@pytest.mark.skipif(not DATA.is_dir(), reason="PTB-XL's recordings are not beside the checkout (shared/data)")
def test_what_is_marked_moves_the_answer_of_real_recordings(classifier):
    """Of eight recordings of PTB-XL; all 353 are in docs/measurements/explanations.md."""
    paths = sorted(DATA.rglob("*.hea"))[::45]
    found = by_kind({path.stem: read_path(path).records[0] for path in paths}, classifier)
    for kind, figures in found.items():
        assert figures["recordings"] >= 6, kind
        assert figures["marked"] > 1.2 * figures["elsewhere"], kind
        assert figures["more_than_elsewhere"] >= 0.7, kind
    assert found["shades, typical"]["right_way"] >= 0.7
