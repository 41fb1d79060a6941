"""The study behind the number of records that a site needs: what it says where the answer is known."""

from research.site_calibration import SHIFTS, outcome, table


def test_more_records_bring_a_site_nearer_to_the_truth():
    """And its threshold nearer to what is asked; at a site that is like all others nothing of its own can be better."""
    few, many = (outcome(n, shift=1.0, slope=1.0, draws=50) for n in (50, 400))
    assert many.own_error < few.own_error < few.pooled_error
    assert many.own_high - many.own_low < few.own_high - few.own_low
    like_all = outcome(200, shift=0.0, slope=1.0, draws=50)
    assert like_all.pooled_error < 1e-12
    assert like_all.worse == 1.0


def test_with_two_hundred_the_own_calibration_is_seldom_the_worse_one():
    """Where a site differs by half a unit of log-odds; with fifty it often is."""
    assert outcome(200, shift=0.5, slope=1.0, draws=100).worse <= 0.05
    assert outcome(50, shift=0.5, slope=1.0, draws=100).worse >= 0.15


def test_the_table_has_a_row_for_each_site_and_size():
    """And the same numbers again."""
    lines = table((50,), draws=5)
    assert len(lines) == 2 + len(SHIFTS)
    assert lines == table((50,), draws=5)
