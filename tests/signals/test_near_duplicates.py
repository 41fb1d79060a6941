"""Near-duplicates: what comes from one recording is found, what comes from two people is not."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.signal import resample_poly

from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.signals.heartbeats import LENIENT_R_THRESHOLDS, cut_beats
from ecg_tasks.signals.near_duplicates import find_links, shared_correlation, signatures
from ecg_tasks.signals.record import HEARTBEAT_FS, STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize

N_HEARTS = 12


def _recording(samples, fs=500.0):
    return Record(samples=np.ascontiguousarray(samples, dtype=np.float32), fs=fs, leads=STANDARD_LEADS, unit="mV", name="recording")


def _row(beat):
    return Record(samples=np.ascontiguousarray(beat[None], dtype=np.float32), fs=HEARTBEAT_FS, leads=("II",), unit="relative", name="row")


def _pairs(links):
    return dict(zip(zip(links.first.tolist(), links.second.tolist(), strict=True), links.same.tolist(), strict=True))


@pytest.fixture(scope="module")
def recordings():
    """One recording of each of a few imaginary people."""
    rng = np.random.default_rng(3)
    hearts = [draw_heart(rng, label=CLASS_ORDER[number % 2]) for number in range(N_HEARTS)]
    return [_recording(synthesize(heart, fs=500.0, duration_s=10.0, rng=rng)) for heart in hearts]


def _noisy(record):
    return replace(
        record, samples=(record.samples * 1.3 + np.random.default_rng(0).normal(0, 0.02, record.samples.shape)).astype(np.float32)
    )


def _slower(record):
    return replace(record, samples=resample_poly(record.samples, 1, 5, axis=1).astype(np.float32), fs=100.0)


def _later(record):
    return replace(record, samples=np.ascontiguousarray(record.samples[:, 500:]))


@pytest.mark.parametrize(("change", "least"), [(_noisy, 1.0), (_slower, 1.0), (_later, 0.9)])
def test_another_export_of_a_recording_is_the_same(recordings, change, least):
    """With noise and another gain, at a fifth of the rate, and cut by a second, a recording is found to be the same; no two people are."""
    found = _pairs(find_links(signatures([*recordings, *map(change, recordings)])))
    assert sum(found.get((index, index + N_HEARTS), False) for index in range(N_HEARTS)) >= least * N_HEARTS
    assert not any(same for (first, second), same in found.items() if second - first != N_HEARTS)


def test_consecutive_beats_are_the_same_signal(recordings):
    """A beat ends with the samples that the next one begins with: such rows are the same signal, and rows of two people are not."""
    cut = [cut_beats(one.samples[1], fs=one.fs, r_thresholds=LENIENT_R_THRESHOLDS) for one in recordings]
    owner = np.repeat(np.arange(N_HEARTS), [len(one.samples) for one in cut])
    links = find_links(signatures([_row(beat) for one in cut for beat in one.samples]))
    assert (owner[links.first] == owner[links.second])[links.same].all()
    consecutive = {(a, a + 1) for a in range(len(owner) - 1) if owner[a] == owner[a + 1]}
    assert len(consecutive & set(_pairs(links))) > 0.8 * len(consecutive)


@pytest.mark.parametrize("lag", [0, 1, 2])
def test_a_shifted_and_noisy_copy_of_a_beat_is_similar(recordings, lag):
    """A row that starts one or two samples later, with a little noise, is still known; so is the recording that a row was cut from."""
    beat = cut_beats(recordings[0].samples[1], fs=500.0, r_thresholds=LENIENT_R_THRESHOLDS).samples[0]
    copy = np.append(beat[lag:], np.zeros(lag)) + np.random.default_rng(0).normal(0, 0.002, 187)
    found = _pairs(find_links(signatures([_row(beat), _row(copy), recordings[0], recordings[1]])))
    assert (0, 1) in found
    assert (0, 2) in found
    assert (0, 3) not in found


def test_only_pairs_with_something_new_are_looked_for(recordings):
    """Given what is new, exactly the pairs with a new record are found."""
    known = signatures([*recordings, *map(_noisy, recordings)])
    new = np.zeros(2 * N_HEARTS, dtype=bool)
    new[N_HEARTS + 2] = True
    everything = _pairs(find_links(known))
    assert _pairs(find_links(known, new=new)) == {pair: same for pair, same in everything.items() if N_HEARTS + 2 in pair}


def test_signatures_do_not_depend_on_the_company(recordings):
    """A record's signature is the same alone, among others, and taken out of them."""
    together, alone = signatures(recordings), signatures([recordings[4]])
    taken = together.take(np.array([4]))
    for name in ("is_row", "beats", "beat_of", "medians", "waves", "recording_of"):
        assert np.array_equal(getattr(taken, name), getattr(alone, name)), name


def test_nothing_is_similar_to_nothing():
    """No record, and flat rows, give no links."""
    assert len(find_links(signatures([]))) == 0
    assert len(find_links(signatures([_row(np.zeros(187)), _row(np.zeros(187))]))) == 0


def test_correlation_over_what_is_shared_is_that_of_numpy():
    """At the best lag it equals the cosine of the parts that overlap, computed directly."""
    rng = np.random.default_rng(1)
    one, other = rng.standard_normal(200), rng.standard_normal(200)
    direct = []
    for lag in range(-100, 101):
        a, b = (one[lag:], other[: 200 - lag]) if lag >= 0 else (one[:lag], other[-lag:])
        direct.append(a @ b / np.sqrt((a @ a) * (b @ b)))
    assert shared_correlation(one, other) == pytest.approx(max(direct), abs=1e-9)
