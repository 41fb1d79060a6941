"""Which records are taken and how they are cut."""

import numpy as np
import pytest

from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.resampling import resample
from ecg_tasks.signals.windowing import BeatWindows, RecordingWindows


def recording(*, seconds=10.0, fs=500.0, leads=STANDARD_LEADS, seed=0, beats=True):
    """A recording in mV with a beat every 0.8 s and a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * fs)) / fs
    shape = np.exp(-((((t + 0.4) % 0.8 - 0.4) / 0.02) ** 2)) if beats else 0 * t
    samples = np.linspace(0.5, 1.5, len(leads))[:, None] * shape + 0.01 * rng.normal(size=(len(leads), t.size))
    return Record(samples=samples.astype(np.float32), fs=fs, leads=leads, unit="mV", name=f"recording {seed}")


def heartbeat(n_real=120, *, seed=0):
    """A heartbeat row: ``n_real`` samples, then zeros."""
    beat = np.random.default_rng(seed).uniform(0.1, 1, 187)
    beat[n_real:] = 0
    return Record(samples=beat[None].astype(np.float32), fs=125.0, leads=("II",), unit="relative", name=f"row {seed}")


@pytest.mark.parametrize(
    ("record", "by_beats", "by_recordings"),
    [
        (recording(), True, True),
        (recording(leads=(*STANDARD_LEADS, "vx")), True, True),
        (recording(leads=STANDARD_LEADS[::-1]), True, True),
        (recording(seconds=9.9), True, True),
        (recording(seconds=4.9), False, False),
        (recording(leads=STANDARD_LEADS[:11]), True, False),
        (recording(leads=("II",)), True, False),
        (recording(leads=("I", "V5")), False, False),
        (recording(leads=("I", "aVF", *STANDARD_LEADS[6:])), True, True),
        (heartbeat(), True, False),
    ],
)
def test_which_records_are_taken(record, by_beats, by_recordings):
    """Beats need lead II, or two leads that give it, or a heartbeat row; twelve leads need all, in any order; both need 5 s."""
    assert BeatWindows().accepts(record) is by_beats
    assert RecordingWindows().accepts(record) is by_recordings


def test_a_recording_is_cut_into_whole_windows():
    """25 s give two windows, at 0 and 10 s, of the resampled leads in standard order with their medians taken off."""
    record = recording(seconds=25, leads=(*STANDARD_LEADS[::-1], "vx"))
    windows = RecordingWindows().cut([record])
    assert windows.samples.shape == (2, 12, 1250)
    assert windows.start_s.tolist() == [0, 10]
    assert windows.window.tolist() == [0, 1]
    lead = resample(record.samples[record.leads.index("aVL")], fs=500, target_fs=125)[1250:2500]
    assert windows.samples[1, STANDARD_LEADS.index("aVL")] == pytest.approx(lead - np.median(lead), abs=1e-6)


def test_an_offset_of_the_amplifier_does_not_show():
    """A constant added to a lead changes nothing but the last digit."""
    record = recording()
    shifted = Record(samples=record.samples + np.float32(2), fs=500.0, leads=record.leads, unit="mV", name="shifted")
    one, other = (RecordingWindows().cut([each]).samples for each in (record, shifted))
    assert one == pytest.approx(other, abs=1e-5)


def test_a_heartbeat_row_is_a_window_as_it_is():
    """Its samples stay as they are, and what is left of the zeros at its end is known."""
    rows = [heartbeat(120), heartbeat(187, seed=1), heartbeat(1, seed=2), heartbeat(0, seed=3)]
    windows = BeatWindows().cut(rows)
    assert np.array_equal(windows.samples, np.stack([row.samples for row in rows]))
    assert windows.n_real.tolist() == [120, 187, 1, 0]
    assert windows.start_s.tolist() == [0] * 4


def test_a_zero_inside_a_beat_is_no_padding():
    """Only zeros at the end count as padding."""
    row = heartbeat(120)
    row.samples[0, 50] = 0
    assert BeatWindows().cut([row]).n_real.tolist() == [120]


def test_beats_are_cut_from_lead_ii_and_know_where_they_start():
    """A beat every 0.8 s gives windows 0.8 s apart, each 1.2 × 0.8 s long."""
    windows = BeatWindows().cut([recording(leads=("V1", "II"))])
    assert len(windows) >= 10
    assert np.diff(windows.start_s) == pytest.approx(0.8, abs=0.02)
    assert set(windows.n_real.tolist()) == {120}
    assert (windows.samples[:, 0, 120:] == 0).all()


@pytest.mark.parametrize("windowing", [BeatWindows(), RecordingWindows()], ids=["beats", "recordings"])
def test_no_records_give_no_windows(windowing):
    """An empty shard gives arrays of the right shape without rows."""
    windows = windowing.cut([])
    assert len(windows) == 0
    assert windows.samples.shape[1:] == ((1, 187) if isinstance(windowing, BeatWindows) else (12, 1250))


def test_records_of_all_sorts_come_back_in_their_order():
    """Rates and lengths are grouped for the resampling only: rows stand in the order of the records."""
    records = [recording(fs=1000.0, seed=1), heartbeat(), recording(fs=250.0, seed=2), recording(beats=False, seed=3), recording(seed=4)]
    windows = BeatWindows().cut(records)
    assert (np.diff(windows.record) >= 0).all()
    assert {0, 1, 2, 4} <= set(windows.record.tolist())
    for index in (0, 1, 2, 4):
        alone = BeatWindows().cut([records[index]])
        mine = windows.record == index
        assert np.array_equal(windows.samples[mine], alone.samples)
        assert np.array_equal(windows.window[mine], np.arange(mine.sum()))


def test_lenient_cutting_finds_beats_under_wander():
    """Where breathing lifts some R peaks far above others, the paper's rule finds fewer beats than the lenient one."""
    plain = recording(leads=("II",))
    swing = 1.5 * np.sin(2 * np.pi * 0.12 * np.arange(plain.n_samples) / 500).astype(np.float32)
    wandering = Record(samples=plain.samples + swing, fs=500.0, leads=("II",), unit="mV", name="wandering")
    strict, lenient = (len(BeatWindows(lenient=each).cut([wandering])) for each in (False, True))
    assert strict < 4
    assert lenient >= 10


def test_lenient_cutting_leaves_heartbeat_rows_as_they_are():
    """A row was cut before it came here."""
    rows = [heartbeat(), heartbeat(90, seed=1)]
    assert np.array_equal(BeatWindows(lenient=True).cut(rows).samples, BeatWindows().cut(rows).samples)
