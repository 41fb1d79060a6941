"""Watching every night raises a false alarm no more often than it promises, and shifts are found."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, kstest

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.drift import ALPHA, BETS, JUMP_RATES, OTHER, Martingale, Reference, joint_log_capital, population_stability

N_STREAMS = 1000
N_REFERENCE = 200
A_NIGHT = 10


def streams(rng, *, nights: int, from_night: int = 10**9, shift: float = 0.0) -> np.ndarray:
    """First night at which each of 1,000 streams alarms, -1 for never: ten records a night, shifted by so many standard deviations."""
    reference = rng.normal(size=(N_STREAMS, N_REFERENCE))
    edges = np.quantile(reference, np.arange(1, 10) / 10, axis=1).T
    counts = np.stack([np.bincount((row[:, None] >= own).sum(axis=1), minlength=10) for row, own in zip(reference, edges, strict=True)])
    martingale, first = Martingale.start(counts), np.full(N_STREAMS, -1)
    for night in range(nights):
        drawn = rng.normal(size=(A_NIGHT, N_STREAMS)) + (shift if night >= from_night else 0)
        martingale = martingale.after((drawn[..., None] >= edges).sum(axis=-1), rng.random((A_NIGHT, N_STREAMS)))
        first = np.where((first < 0) & (martingale.scale >= -np.log(ALPHA)), night, first)
    return first


def test_of_1000_streams_without_drift_at_most_one_in_twenty_ever_alarms():
    """200 nights, looked at after each: 5 %, and two standard errors for the draw."""
    alarmed = np.mean(streams(np.random.default_rng(20261122), nights=200) >= 0)
    assert alarmed <= ALPHA + 2 * np.sqrt(ALPHA * (1 - ALPHA) / N_STREAMS)
    assert alarmed > 0.005  # a test that never says anything would pass the line above


def test_a_shift_after_a_month_is_found_within_days():
    """One standard deviation, ten records a night: nine of ten streams alarm within ten nights of it, hardly one before."""
    first = streams(np.random.default_rng(1), nights=60, from_night=30, shift=1.0)
    assert np.mean((first >= 30) & (first < 40)) > 0.9
    assert np.mean((first >= 0) & (first < 30)) <= ALPHA


def test_p_values_of_a_steady_stream_are_uniform_so_nothing_is_won_on_average():
    """The capital's mean over many short streams is 1: it is a fair game, with the reference as small as it may be."""
    rng = np.random.default_rng(5)
    values = rng.integers(0, 4, size=(20_000, 30))
    counts = np.stack([np.bincount(row, minlength=4) for row in values[:, :20]])
    after = Martingale.start(counts).after(values[:, 20:].T, rng.random((10, 20_000)))
    capital = np.exp(after.scale)
    assert capital.mean() == pytest.approx(1, abs=4 * capital.std() / np.sqrt(20_000))


def test_one_by_one_is_the_same_as_all_at_once_and_as_reading_again():
    """Nights may be cut anywhere, and a stored state goes on to the last bit."""
    rng = np.random.default_rng(2)
    bins, ties = rng.integers(0, 5, 40), rng.random(40)
    whole = Martingale.start([10, 20, 5, 5, 1]).after(bins, ties)
    parts = Martingale.start([10, 20, 5, 5, 1]).after(bins[:13], ties[:13])
    parts = Martingale.from_dict(parts.as_dict()).after(bins[13:], ties[13:])
    assert parts.as_dict() == whole.as_dict()
    assert whole.after(bins[:0], ties[:0]).as_dict() == whole.as_dict()


@pytest.mark.parametrize("streams", [(), (7,)])
def test_the_capital_is_that_of_one_step_after_the_other(streams):
    """To the last bit, as earlier versions took each record: what they stored goes on with the same numbers."""
    rng = np.random.default_rng(3)
    bins, ties = rng.integers(0, 6, (400, *streams)), rng.random((400, *streams))
    now = before = Martingale.start(np.broadcast_to([10, 20, 5, 5, 1, 0], (*streams, 6)))
    for bin_of, tie in zip(bins, ties, strict=True):
        before = one_step(before, bin_of, tie)
    now = now.after(bins, ties)
    for name in ("seen", "stakes", "scale", "peak"):
        assert np.array_equal(getattr(now, name), getattr(before, name)), name
        assert np.shape(getattr(now, name)) == np.shape(getattr(before, name))


def one_step(state, bin_of, tie):
    """The state after one record, written as the strategy is defined."""
    here = np.arange(6) == np.asarray(bin_of)[..., None]
    seen = state.seen + here
    above = (seen * (np.arange(6) > np.asarray(bin_of)[..., None])).sum(axis=-1)
    p = (above + tie * (seen * here).sum(axis=-1)) / seen.sum(axis=-1)
    rates = np.array(JUMP_RATES)[:, None]
    stakes = (1 - rates) * state.stakes + rates * state.stakes.mean(axis=-1, keepdims=True)
    stakes = stakes * (1 + np.array(BETS) * (np.asarray(p)[..., None, None] - 0.5))
    grown = stakes.sum(axis=(-2, -1))
    scale = state.scale + np.log(grown)
    return Martingale(seen=seen, stakes=stakes / grown[..., None, None], scale=scale, peak=np.maximum(state.peak, scale))


def test_the_joint_capital_is_the_mean_of_capitals():
    """In logarithms, without overflow."""
    assert joint_log_capital([1000.0, 0.0]) == pytest.approx(1000 - np.log(2))


@given(st.lists(st.integers(0, 400), min_size=2, max_size=12), st.integers(0, 10))
def test_psi_of_a_sample_with_itself_is_nothing_and_never_negative(counts, turn):
    """Where there are enough records; below that it is not told."""
    found = population_stability(counts, counts)
    other = population_stability(counts, np.roll(counts, turn))
    if sum(counts) < 100:
        assert np.isnan(found.value)
        assert not found.is_large
    else:
        assert found.value == pytest.approx(0, abs=1e-12)
        assert other.value >= -1e-12


def test_psi_stays_below_its_bound_by_chance_nineteen_times_of_twenty():
    """Over 4,000 pairs of samples of one distribution; the bound is close to SciPy's chi-squared quantile."""
    rng = np.random.default_rng(8)
    share = np.array([0.05, 0.15, 0.3, 0.3, 0.15, 0.05])
    pairs = [population_stability(rng.multinomial(300, share), rng.multinomial(200, share)) for _ in range(4000)]
    assert np.mean([pair.value > pair.by_chance for pair in pairs]) == pytest.approx(0.05, abs=0.02)
    assert pairs[0].by_chance == pytest.approx(chi2.ppf(0.95, 5) * (1 / 300 + 1 / 200), rel=0.01)


def test_psi_of_a_known_shift_is_the_formula():
    """Written out by hand for two bins, half a record added to each."""
    p, q = np.array([100.5, 100.5]) / 201, np.array([150.5, 50.5]) / 201
    found = population_stability([100, 100], [150, 50])
    assert found.value == pytest.approx(((q - p) * np.log(q / p)).sum())
    assert found.is_large
    with pytest.raises(SignalError, match="the reference has"):
        population_stability([100, 100], [1, 2, 3])


def test_bins_of_numbers_are_equally_filled_and_named():
    """Deciles; missing values are left out; what lies outside falls into the outer bins."""
    reference = Reference.of_numbers([*np.arange(100.0), np.nan])
    assert reference.counts.tolist() == [10] * 10
    assert reference.bins([-5, 1e9, np.nan]).tolist() == [0, 9]
    assert reference.names[0] == "below 9.9"
    assert len(reference.names) == 10
    assert Reference.of_numbers([1.0] * 50).counts.sum() == 50
    assert Reference.of_numbers([np.nan]).counts.sum() == 0


def test_a_kind_that_was_never_seen_falls_into_the_last_bin():
    """Kinds are ordered by how frequent they were, so that a rare one gives a small p-value."""
    reference = Reference.of_kinds({"1 lead": 2, "12 leads": 9})
    assert reference.names == ("12 leads", "1 lead", OTHER)
    assert reference.bins(["12 leads", "3 leads"]).tolist() == [0, 2]
    again = Reference.from_dict(reference.as_dict())
    assert again.names == reference.names
    assert again.counts.tolist() == reference.counts.tolist()


def test_ties_decide_where_a_record_stands_among_its_equals():
    """With one bin for everything the p-values are the ties themselves: nothing can be won from a measure that never varies."""
    ties = np.random.default_rng(4).random(2000)
    assert kstest(ties, "uniform").pvalue > 0.001
    after = Martingale.start([50]).after(np.zeros(2000, dtype=int), ties)
    assert after.peak < -np.log(ALPHA)
