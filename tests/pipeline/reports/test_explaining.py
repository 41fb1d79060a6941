"""An explanation finds its way back from the picture to the recording's own beats and leads."""

from dataclasses import replace
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from ecg_tasks.evaluation.calibration import sigmoid
from ecg_tasks.learning.decisions import SiteRule
from ecg_tasks.pipeline.reports.explaining import MAX_WINDOWS, STEP_S, beat_parts, explain_record
from ecg_tasks.reporting.plainly import plainly
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.record import STANDARD_LEADS, Record

FS = 500.0
R_PEAKS_S = np.arange(0.6, 21, 0.9)


def recording(*, seconds=10.0, leads=STANDARD_LEADS, noise=0.01):
    """A beat every 0.9 s, the first at 0.6 s."""
    t = np.arange(round(seconds * FS)) / FS
    since = np.min(np.abs(t[:, None] - R_PEAKS_S), axis=1)
    after = np.min(np.where(t[:, None] >= R_PEAKS_S, t[:, None] - R_PEAKS_S, np.inf), axis=1)
    beat = np.exp(-((since / 0.02) ** 2)) + 0.3 * np.exp(-(((after - 0.3) / 0.05) ** 2))
    samples = beat + noise * np.random.default_rng(0).normal(size=(len(leads), t.size))
    return Record(samples=samples.astype(np.float32), fs=FS, leads=leads, unit="mV", name="r")


def decided_by(recipe_name, channels, column):
    """A model whose answer is the brightness of these channels in one column, and nothing else."""
    shape = get_recipe(recipe_name).image_shape
    return SimpleNamespace(
        spec=SimpleNamespace(
            recipe=recipe_name,
            recipe_digest=get_recipe(recipe_name).digest,
            image_shape=shape,
            temperature=1.0,
            min_quality=0.5,
            sites=(),
        ),
        typical=np.zeros(shape, np.uint8),
        predict=lambda images: sigmoid(images[:, :, column][..., channels].mean(axis=(1, 2)) / 100).astype(np.float32),
    )


def test_the_median_beat_is_led_back_to_every_beat_of_its_lead():
    """Where only V2 at the R peak decides, V2 is marked around each R peak of the ten seconds, and no other lead anywhere."""
    times = get_recipe("twelve_lead").axes().times
    column = int(np.abs(times).argmin())
    found = explain_record(decided_by("twelve_lead", [7, 19], column), recording())
    assert found.leads == STANDARD_LEADS
    assert np.abs(np.delete(found.over_time, 7, axis=0)).max() < 1e-4
    marked_s = (np.flatnonzero(found.over_time[7] > 1e-4) + 0.5) * STEP_S
    whole = R_PEAKS_S[(R_PEAKS_S > 0.4) & (R_PEAKS_S < 9.3)]
    nearest = np.abs(marked_s[:, None] - (whole + times[column])).min(axis=0)
    assert nearest.max() < 0.05
    assert np.abs(marked_s[:, None] - (whole + times[column])).min(axis=1).max() < 0.08
    pair = [column - 1, column]  # 29 columns are looked into in pairs: both have what the pair has
    assert np.abs(np.delete(found.cells, pair, axis=1)).max() < 1e-4
    assert np.array_equal(found.cells[:, pair[0]], found.cells[:, pair[1]])
    assert found.log_odds == pytest.approx(found.cells[:, column].sum(), rel=1e-3)


def test_effects_are_in_the_log_odds_of_the_recordings_site():
    """A site with half the temperature has twice the log-odds; one without a calibration of its own has the version's."""
    model = decided_by("twelve_lead", [7, 19], 5)
    model.spec.sites = (SiteRule(site="north", temperature=0.5, bias=0.0, threshold=0.5, abstain=(0.5, 0.5)),)
    north, south = (explain_record(model, replace(recording(), site=site)) for site in ("north", "south"))
    assert north.log_odds == pytest.approx(2 * south.log_odds, rel=1e-3)
    assert south.log_odds == pytest.approx(explain_record(model, recording()).log_odds)


def test_beats_of_a_lead_are_marked_where_they_were_cut():
    """In beats the time runs from each R peak on: a column half a second behind it is marked behind each of the first beats."""
    times = get_recipe("heartbeat").axes().times
    record = recording(leads=("II",))
    found = explain_record(decided_by("heartbeat", [0, 1], len(times) - 2), record)
    windows = get_recipe("heartbeat").windows([record])
    assert found.n_windows == min(MAX_WINDOWS, len(windows))
    marked_s = (np.flatnonzero(np.abs(found.over_time[0]) > 1e-4) + 0.5) * STEP_S
    expected = windows.start_s[: found.n_windows] + times[-2]
    assert np.abs(marked_s[:, None] - expected).min(axis=0).max() < 0.03
    assert np.abs(marked_s[:, None] - expected).min(axis=1).max() < 0.05


def test_a_longer_recording_has_several_windows():
    """Each window of ten seconds is marked in its own place."""
    found = explain_record(decided_by("twelve_lead", [0, 12], 5), recording(seconds=20.0))
    assert found.n_windows == 2
    assert found.over_time.shape == (12, 1000)
    assert (np.abs(found.over_time[0, 500:]) > 1e-4).any()


def test_without_an_answer_there_is_nothing_to_explain():
    """A recording that is nothing but noise is uninterpretable and has no explanation."""
    assert explain_record(decided_by("twelve_lead", [0], 5), recording(noise=3.0)) is None


def test_parts_of_the_beat_lie_in_the_time_of_the_pictures():
    """One after the other over the whole picture; R in the QRS complex, the bump 0.3 s later in the T wave, however late the zeros are."""
    times = get_recipe("twelve_lead").axes().times
    for late_s in (0.0, 0.02):
        parts = beat_parts(recording(), R_PEAKS_S[1:9] + late_s, times)
        assert all(one.to_s == two.from_s for one, two in pairwise(parts))
        hop_s = times[1] - times[0]
        assert (parts[0].from_s, parts[-1].to_s) == pytest.approx((times[0] - hop_s / 2, times[-1] + hop_s / 2))
        by_name = {one.name: one for one in parts}
        assert by_name["QRS complex"].from_s < -late_s < by_name["QRS complex"].to_s
        assert by_name["T wave"].from_s < 0.3 - late_s < by_name["T wave"].to_s
        assert "P wave" not in by_name
        assert parts[0].name == "time before the QRS complex"
    assert beat_parts(recording(noise=3.0), R_PEAKS_S[:3], times) == ()


def test_the_sentence_names_the_lead_and_the_part_that_decide():
    """Where only V2 at the R peak decides, it says so."""
    times = get_recipe("twelve_lead").axes().times
    found = explain_record(decided_by("twelve_lead", [7, 19], int(np.abs(times).argmin())), recording())
    assert plainly(found) == "What supports abnormal is mostly the QRS complex in V2."
