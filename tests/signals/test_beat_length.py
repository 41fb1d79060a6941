"""The length of beats is that of the rhythm a recording was made with."""

from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.signals.beat_length import beat_lengths_s
from ecg_tasks.signals.record import Record

PTBXL = Path(__file__).parents[2] / "../shared/data/ptbxl/records500/00000"


def recording(rr_s: float, *, fs: float, seconds: float = 10.0) -> Record:
    """Narrow R waves and broad T waves at an even rhythm."""
    phase = (np.arange(round(seconds * fs)) / fs) % rr_s
    wave = np.exp(-(((phase - 0.2) / 0.012) ** 2)) + 0.3 * np.exp(-(((phase - 0.45) / 0.05) ** 2))
    return Record(samples=wave[None].astype(np.float32), fs=fs, leads=("II",), unit="mV", name="made")


@pytest.mark.parametrize("fs", [100.0, 250.0, 500.0, 1000.0])
@pytest.mark.parametrize("rr_s", [0.5, 0.8, 1.0, 1.5])
def test_an_even_rhythm_is_found_at_every_rate(fs, rr_s):
    """From 40 to 120 beats a minute, to within two samples; T waves are no beats."""
    assert beat_lengths_s([recording(rr_s, fs=fs)])[0] == pytest.approx(rr_s, abs=2 / fs + 1e-6)


def test_a_heartbeat_row_ends_where_its_padding_begins():
    """187 samples at 125 Hz, of which 100 are the beat; an empty row has no length."""
    row = np.zeros((1, 187), np.float32)
    empty = Record(samples=row.copy(), fs=125.0, leads=("II",), unit="relative", name="empty")
    row[0, :100] = 0.5
    assert beat_lengths_s([Record(samples=row, fs=125.0, leads=("II",), unit="relative", name="row"), empty]).tolist()[0] == pytest.approx(
        0.8
    )
    assert np.isnan(beat_lengths_s([empty])[0])


def test_what_is_flat_or_too_short_has_no_length():
    """Nothing is guessed."""
    flat = Record(samples=np.zeros((1, 5000), np.float32), fs=500.0, leads=("II",), unit="mV", name="flat")
    assert np.isnan(beat_lengths_s([flat, recording(0.8, fs=250.0, seconds=1.0)])).all()
    assert beat_lengths_s([]).shape == (0,)


@pytest.mark.parametrize("fs", [100.0, 250.0, 500.0, 1000.0])
@pytest.mark.parametrize("flat_s", [1.0, 2.0, 5.0])
def test_an_electrode_that_comes_off_leaves_the_beats_before_it(fs, flat_s):
    """From there on the lead is flat, at zero or at another level."""
    for level in (0.0, 0.3, -4.0):
        record = recording(0.8, fs=fs)
        record.samples[:, -round(flat_s * fs) :] = level
        assert beat_lengths_s([record])[0] == pytest.approx(0.8, abs=2 / fs + 1e-6)


@pytest.mark.skipif(not PTBXL.is_dir(), reason="PTB-XL's recordings are not beside the checkout (shared/data/ptbxl)")
def test_real_recordings_beat_as_another_detector_finds():
    """Of 40 recordings of PTB-XL at least 36 are within 10 % of the rhythm of all R peaks that wfdb's own detector (XQRS) finds."""
    import wfdb
    from wfdb.processing import XQRS

    close, total = 0, 0
    for header in sorted(PTBXL.glob("*.hea"))[:40]:
        read = wfdb.rdrecord(str(header.with_suffix("")))
        lead = read.p_signal[:, read.sig_name.index("II")]
        detector = XQRS(sig=lead, fs=read.fs)
        detector.detect(verbose=False)
        record = Record(
            samples=read.p_signal.T.astype(np.float32), fs=float(read.fs), leads=tuple(read.sig_name), unit="mV", name=header.stem
        )
        if len(detector.qrs_inds) > 2:
            total += 1
            close += bool(abs(beat_lengths_s([record])[0] / (np.median(np.diff(detector.qrs_inds)) / read.fs) - 1) < 0.1)
    assert close >= 0.9 * total
    assert total > 30
