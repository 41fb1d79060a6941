"""The queue finds planted wrong labels sooner than chance, more so the better the model is, and the picture shows it."""

from xml.etree import ElementTree as ET

import numpy as np
import pytest

from research.wrong_labels import ScoredRecording, draw_curves, found_curves


def made(apart: float, *, n: int = 300) -> ScoredRecording:
    """Scores of a model whose log-odds are so many standard deviations apart."""
    rng = np.random.default_rng(4)
    label = rng.integers(0, 2, n)
    probability = 1 / (1 + np.exp(-(rng.normal(size=n) + np.where(label == 1, apart, -apart) / 2)))
    return ScoredRecording(probability=probability, quality=rng.uniform(0.6, 1, n), label=label, threshold=0.5, abstain=(0.4, 0.6))


@pytest.mark.parametrize(("apart", "at_least"), [(2.0, 0.75), (4.0, 0.9)])
def test_the_area_under_the_curve_beats_chance_clearly(apart, at_least):
    """Chance has 0.5; nineteen of twenty draws are above 0.6 even with the weaker model."""
    area = found_curves(made(apart), draws=100)[:, 1:].mean(axis=1)
    assert area.mean() > at_least
    assert np.quantile(area, 0.05) > 0.6


def test_a_model_that_knows_nothing_finds_no_sooner_than_chance():
    """The gain comes from the model, not from the way it is counted."""
    area = found_curves(made(0.0, n=4000), draws=50)[:, 1:].mean(axis=1)
    assert area.mean() == pytest.approx(0.5, abs=0.03)


def test_curves_rise_from_nothing_to_all_and_are_drawn():
    """Whatever the draw."""
    curves = found_curves(made(2.0), draws=20)
    assert (curves[:, 0] == 0).all()
    assert (curves[:, -1] == 1).all()
    assert (np.diff(curves, axis=1) >= 0).all()
    ET.fromstring(draw_curves(curves))  # noqa: S314  # our own drawing
