"""The chart of many runs."""

import re

from ecg_tasks.reporting.history import FATES, draw_history


def counts(**counts):
    """Counts of one run."""
    return dict.fromkeys(FATES, 0) | counts


def test_bars_are_as_tall_as_their_counts():
    """Heights stand in the proportion of the counts, and an empty run has no bar."""
    runs = [counts(classified=100, uncertain=50), counts(), counts(pending=75)]
    drawing = draw_history([(f"2026-01-0{day}", run) for day, run in enumerate(runs, start=1)])
    bars = {kind: float(height) for kind, height in re.findall(r'class="bar (\w+)"[^/]*height="([\d.]+)"', drawing)}
    assert bars.keys() == {"classified", "uncertain", "pending"}
    assert abs(bars["classified"] / bars["uncertain"] - 2) < 0.01
    assert abs(bars["classified"] / bars["pending"] - 100 / 75) < 0.01
