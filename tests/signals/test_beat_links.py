"""Beats that are alike: the index loses none of them, and what a caller does not need is left out."""

import numpy as np
import pytest
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from ecg_tasks.signals import beat_links
from ecg_tasks.signals.beat_links import BEAT_SAME, BEAT_SIMILAR, LAGS, Connected, Pairs
from ecg_tasks.signals.near_duplicates import Signatures, find_links

N_HEARTS, N_COPIES = 30, 12
ROUNDING = 2e-6
"""By which a correlation in float32 may differ from that in float64."""


@pytest.fixture(scope="module")
def known():
    """Copies of smooth random beats with noise around what is still alike, moved by up to three samples; some are beats of recordings."""
    rng = np.random.default_rng(11)
    beats = []
    for _ in range(N_HEARTS):
        shape = np.convolve(rng.standard_normal(230), np.hanning(15), "same")
        shape = (shape - shape.min()) / np.ptp(shape)
        for _ in range(N_COPIES):
            start = 20 + rng.integers(-3, 4)
            beats.append(shape[start : start + 187] + rng.normal(0, 10 ** rng.uniform(-3.5, -1.5), 187))
    beats.append(np.zeros(187))
    beats.append(np.ones(187))
    is_row = np.ones(len(beats), dtype=bool)
    is_row[::5] = False  # recordings of one beat
    return Signatures(
        n_records=len(beats),
        is_row=is_row,
        beats=np.array(beats, np.float32),
        beat_of=np.arange(len(beats)),
        medians=np.empty((0, 12, 88), np.float32),
        waves=np.empty((0, 1250), np.float32),
        recording_of=np.empty(0, np.int64),
    )


def _exhaustive(known):
    """Largest correlation of every pair of records with a row in it, over all lags and both ways round, in float64."""
    margin = max(LAGS)
    beats = known.beats.astype(np.float64)

    def unit(part):
        part = part - part.mean(axis=1, keepdims=True)
        return part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-300)

    base = unit(beats[:, margin:-margin])
    best = np.max([base @ unit(beats[:, margin + lag : 187 - margin + lag]).T for lag in LAGS], axis=0)
    best[~known.is_row] = -1  # only rows are held still
    best = np.maximum(best, best.T)
    return {(a, b): best[a, b] for a in range(len(beats)) for b in range(a + 1, len(beats)) if known.is_row[a] or known.is_row[b]}


def _found(known, *, wanted=lambda a, _: np.ones(len(a), bool), connected=None):
    first, second, same = beat_links.beat_links(known.beats, known.beat_of, known.is_row, wanted=wanted, connected=connected)
    return dict(zip(zip(first.tolist(), second.tolist(), strict=True), same.tolist(), strict=True))


def test_the_index_loses_no_pair(known):
    """Exactly the pairs that a comparison of everything with everything finds, with the same grade, but for rounding at the thresholds."""
    found, best = _found(known), _exhaustive(known)
    alike = {pair for pair, correlation in best.items() if correlation >= BEAT_SIMILAR}
    at_threshold = {pair for pair, correlation in best.items() if abs(correlation - BEAT_SIMILAR) < ROUNDING}
    assert 300 < len(alike) < len(best) / 20
    assert (found.keys() ^ alike) <= at_threshold
    for pair, same in found.items():
        if abs(best[pair] - BEAT_SAME) > ROUNDING:
            assert same == (best[pair] >= BEAT_SAME)
    assert {True, False} == set(found.values())


def test_the_directions_play_no_part(known, monkeypatch):
    """Projected onto any other orthonormal directions, and proposed in small pieces, the same pairs are found."""
    before = _found(known)
    turned = np.linalg.qr(np.random.default_rng(0).standard_normal((183, 3)))[0].astype(np.float32)
    monkeypatch.setattr(beat_links, "_directions", lambda _base: turned)
    monkeypatch.setattr(beat_links, "_PAIRS_AT_ONCE", 100)
    monkeypatch.setattr(beat_links, "_ROWS_AT_ONCE", 64)
    monkeypatch.setattr(beat_links, "_DECIDED_AT_ONCE", 7)
    assert _found(known) == before


def test_only_pairs_across_sides_are_kept_where_sides_are_given(known):
    """Given splits, exactly the pairs on two of them are found."""
    splits = np.arange(known.n_records) % 3
    links, everything = find_links(known, splits=splits), find_links(known)
    across = splits[everything.first] != splits[everything.second]
    for name in ("first", "second", "same"):
        assert np.array_equal(getattr(links, name), getattr(everything, name)[across]), name


def _groups(links, n, among):
    both = among[links.first] & among[links.second]
    graph = coo_matrix((np.ones(int(both.sum())), (links.first[both], links.second[both])), shape=(n, n))
    return connected_components(graph, directed=False)[1]


def test_what_hangs_together_stays_so_with_fewer_pairs(known):
    """Spanning pairs connect the same new records, and pairs with records of before are all kept."""
    new = np.arange(known.n_records) % 4 != 0
    links, everything = find_links(known, new=new, spanning=True), find_links(known, new=new)
    assert len(links) < len(everything)
    groups, all_groups = (_groups(one, known.n_records, new) for one in (links, everything))
    assert len(set(zip(groups.tolist(), all_groups.tolist(), strict=True))) == groups.max() + 1 == all_groups.max() + 1
    with_old = [set(zip(one.first.tolist(), one.second.tolist(), strict=True)) for one in (links, everything)]
    assert [pair for pair in sorted(with_old[1] - with_old[0]) if not new[list(pair)].all()] == []


def test_beats_that_are_all_alike_do_not_fill_the_memory(monkeypatch):
    """A thousand copies of one beat have half a million pairs; few are kept where only the connection matters."""
    monkeypatch.setattr(beat_links, "_PAIRS_AT_ONCE", 20_000)
    rng = np.random.default_rng(0)
    beats = (np.hanning(187) + rng.normal(0, 1e-4, (1000, 187))).astype(np.float32)
    connected = Connected(1000, np.ones(1000, dtype=bool))
    first, second, _ = beat_links.beat_links(
        beats, np.arange(1000), np.ones(1000, bool), wanted=lambda a, _: np.ones(len(a), bool), connected=connected
    )
    assert 999 <= len(first) < 20_000
    assert connected_components(coo_matrix((np.ones(len(first)), (first, second)), shape=(1000, 1000)), directed=False)[0] == 1


def test_of_a_pair_that_is_found_twice_the_graver_finding_counts():
    """Either way round, in any order."""
    pairs = Pairs(n_records=10)
    pairs.add(np.array([3, 1]), np.array([2, 4]), np.array([False, False]))
    pairs.add(np.array([2, 4]), np.array([3, 1]), np.array([True, False]))
    assert [end.tolist() for end in pairs.ends] == [[1, 2], [4, 3]]
    assert pairs.same.tolist() == [False, True]
