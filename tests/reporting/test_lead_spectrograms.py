"""A spectrogram that a person can read: right in Hz, s and dB, on the time axis of the trace above it."""

import re
import xml.etree.ElementTree as ET

import html5lib
import numpy as np
import pytest

from ecg_tasks.reporting.lead_spectrograms import TOP_HZ, draw_lead_spectrograms, levels_of
from ecg_tasks.reporting.pages import record_page
from ecg_tasks.reporting.waveform import draw_waveform
from ecg_tasks.signals.record import Record


def recording(samples, *, fs=500.0, leads=("II",)):
    """A recording of these samples, mV."""
    return Record(samples=np.asarray(samples, np.float32), fs=fs, leads=leads, unit="mV", name="r")


@pytest.mark.parametrize("fs", [125.0, 250.0, 360.0, 500.0, 1000.0])
def test_a_sine_stands_at_its_frequency_its_time_and_its_level(fs):
    """One of 1 mV at 20 Hz from 4 to 6 s reads 0 dB there, and 40 dB less before, after, and 14 Hz beside it, at any rate."""
    t = np.arange(round(10 * fs)) / fs
    found = levels_of(np.where((t >= 4) & (t < 6), np.sin(2 * np.pi * 20 * t), 0)[None], fs=fs)
    at = found.db[0][:, np.abs(found.times_s - 5).argmin()]
    assert found.freqs_hz[at.argmax()] == pytest.approx(20, abs=2)
    assert at.max() == pytest.approx(0, abs=0.5)
    assert at[np.abs(found.freqs_hz - 34).argmin()] < -40
    row = found.db[0][np.abs(found.freqs_hz - 20).argmin()]
    assert row[(found.times_s < 3.8) | (found.times_s > 6.2)].max() < -40
    assert row[(found.times_s > 4.2) & (found.times_s < 5.8)].min() > -1
    assert found.times_s[0] == 0
    assert found.times_s[-1] == pytest.approx(10, abs=0.04)
    assert found.freqs_hz[-1] <= min(TOP_HZ, fs / 2)


def test_beats_a_third_of_a_second_apart_stand_apart():
    """Each of two short bumps has a peak of its own at 10 Hz, with a valley between them."""
    t = np.arange(5000) / 500
    bumps = sum(np.exp(-(((t - at) / 0.02) ** 2)) for at in (5.0, 5.32))
    found = levels_of(bumps[None], fs=500.0)
    row = found.db[0][np.abs(found.freqs_hz - 10).argmin()]
    here = [row[np.abs(found.times_s - at).argmin()] for at in (5.0, 5.16, 5.32)]
    assert min(here[0], here[2]) > here[1] + 6


def test_mains_of_50_and_60_hz_are_told_apart():
    """The row of the one is brighter than that of the other."""
    t = np.arange(5000) / 500
    for hz, other in ((50, 60), (60, 50)):
        found = levels_of(np.sin(2 * np.pi * hz * t)[None], fs=500.0)
        rows = [np.median(found.db[0][np.abs(found.freqs_hz - one).argmin()]) for one in (hz, other)]
        assert rows[0] > rows[1] + 15


def test_seconds_stand_where_the_trace_has_them(records):
    """The picture ends where the paper does, and its labels stand under those of the trace, in the first seconds and in later ones."""
    for record, from_s in ((records[0], 0.0), (records[3], 20.0)):
        above = _seconds(draw_waveform(record, from_s=from_s).drawing)
        for one in draw_lead_spectrograms(record, from_s=from_s):
            assert _seconds(one.drawing) == above
            assert one.drawing.startswith("<svg")
            (clip,) = [part for part in ET.fromstring(str(one.drawing)).iter("svg") if part.get("x")]  # noqa: S314  our own drawing
            assert float(clip.get("width")) == 250 * 20


def _seconds(drawing):
    """Where the labels of seconds stand, by their text: those of one height, the last of which has the unit."""
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" class="axis" text-anchor="middle">(\d+(?: s)?)</text>', str(drawing))
    height = next(y for _, y, label in found if label.endswith(" s"))
    return {label: float(x) for x, y, label in found if y == height}


def test_invalid_samples_are_dark_and_a_beat_has_none(records):
    """Where nothing was recorded there is no level; a single beat has no ten seconds."""
    samples = np.sin(np.arange(5000) / 5)[None].astype(np.float32)
    samples[0, 2000:2600] = np.nan
    found = levels_of(samples, fs=500.0)
    dark = np.isnan(found.db[0]).all(axis=0)
    assert np.array_equal(dark, (found.times_s >= 4) & (found.times_s < 5.2))
    assert len(draw_lead_spectrograms(recording(np.full((1, 5000), np.nan)))) == 1
    assert draw_lead_spectrograms(records[4]) == []


def test_the_page_offers_every_lead_and_shows_one(report, details):
    """A radio a lead, II at first; without that the first."""
    page = record_page(report, details[0]).decode()
    html5lib.HTMLParser(strict=True).parse(page)
    radios = re.findall(r'<input type="radio" name="lead" autocomplete="off"( checked)?> <bdi>([^<]+)</bdi>', page)
    assert [lead for _, lead in radios] == list(details[0].record.leads)
    assert [lead for checked, lead in radios if checked] == ["II"]
    assert "level, dB re 1 mV" in page
