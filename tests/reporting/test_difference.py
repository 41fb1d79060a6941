"""The difference page: it adds up or is refused, and whatever stands in a name is text."""

import json

import html5lib
import pytest

from ecg_tasks.evaluation.agreement import cohens_kappa
from ecg_tasks.labels import Decision
from ecg_tasks.reporting.difference import LISTED, ChangedRecord, Difference, render_difference
from ecg_tasks.reporting.model import ModelSummary

HOSTILE = "</script><script>alert('x')</script>\x00\x07\"&#x27;"


def _model(version: str) -> ModelSummary:
    return ModelSummary(
        recipe="heartbeat",
        version=version,
        digest="d" * 64,
        since="does not serve",
        threshold=0.5,
        abstain=None,
        test_figures={},
        n_test_records=10,
        n_test_patients=5,
        split_unit="patient",
        synthetic=False,
    )


def _difference(changed, *, n_same: int = 3, **other) -> Difference:
    counts = {(Decision.NORMAL, Decision.NORMAL): n_same}
    for one in changed:
        counts[one.before, one.after] = counts.get((one.before, one.after), 0) + 1
    before = ["normal"] * n_same + [one.before.value for one in changed]
    after = ["normal"] * n_same + [one.after.value for one in changed]
    values = {"counts": counts, "changed": changed, "agreement": cohens_kappa(before, after), "mean_change": 0.1, "n_synthetic": 0}
    return Difference(
        run_id="b",
        dag="backfill_version",
        created_utc="2026-01-01T00:00:00+00:00",
        before=_model("a"),
        after=_model("b"),
        **(values | other),
    )


def _changed(number: int, p: float | None = 0.9, *, name: str = "x") -> ChangedRecord:
    return ChangedRecord(
        record_id=f"{number:032x}",
        name=name,
        before=Decision.NORMAL,
        after=Decision.UNINTERPRETABLE if p is None else Decision.ABNORMAL,
        probability_before=0.1,
        probability_after=p,
        label=None,
    )


def test_names_are_text_and_formulas_are_harmless():
    """A name that is a script or a formula is shown as it is, and runs nowhere."""
    files = dict(render_difference(_difference([_changed(1, name=HOSTILE), _changed(2, name="=1+1")])))
    page = files["index.html"].decode()
    html5lib.HTMLParser(strict=True).parse(page)
    assert "<script" not in page
    assert "'=1+1" in files["difference.csv"].decode()


def test_the_first_page_comes_last():
    """Where it is there, all is there."""
    assert [path for path, _ in render_difference(_difference([]))] == ["difference.csv", "summary.json", "index.html"]


def test_the_largest_change_comes_first():
    """By the change of P(abnormal); records that one of the two could not judge come last."""
    files = dict(render_difference(_difference([_changed(1, 0.6), _changed(2, None), _changed(3, 0.95)])))
    listed = [int(row.split(",")[0], 16) for row in files["difference.csv"].decode().splitlines()[1:]]
    assert listed == [3, 1, 2]


def test_a_long_list_is_cut_on_the_page_only():
    """The page lists the first thousand and says of how many; the CSV has all."""
    files = dict(render_difference(_difference([_changed(number) for number in range(LISTED + 5)])))
    assert len(json.loads(files["summary.json"])["listed"]) == LISTED
    assert len(files["difference.csv"].splitlines()) == LISTED + 6
    assert f"The 1,000 of {LISTED + 5:,} that changed most" in files["index.html"].decode()


@pytest.mark.parametrize(
    "other",
    [
        {"counts": {(Decision.NORMAL, Decision.NORMAL): 3}},
        {"agreement": cohens_kappa(["normal"], ["normal"])},
    ],
)
def test_what_does_not_add_up_is_refused(other):
    """Counts, list and agreement are of the same records."""
    with pytest.raises(ValueError, match="counts"):
        _difference([_changed(1)], **other)
