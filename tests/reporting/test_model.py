"""Here: tests that a report whose parts do not agree cannot be made."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.counts import ReportCounts
from ecg_tasks.reporting.model import RecordDetail, RunReport, SpectrogramView
from tests.run_tables import run_table

COUNTS = {
    "received": 12,
    "records": 8,
    "duplicates": 3,
    "quarantined": 1,
    "classified": 4,
    "uncertain": 2,
    "uninterpretable": 1,
    "pending": 1,
}


def changed(report, **values):
    """The report's predictions with the same value in every row."""
    return run_table(row | values for row in report.predictions.all_rows())


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_an_account_that_does_not_add_up_is_refused(name):
    """Any single count that is one too high breaks a sum, and the error names it."""
    ReportCounts(**COUNTS).check()
    with pytest.raises(ValueError, match=name):
        ReportCounts(**(COUNTS | {name: COUNTS[name] + 1})).check()


def test_a_negative_count_is_refused():
    """Two wrongs that add up are still refused."""
    with pytest.raises(ValueError, match="pending=-1"):
        ReportCounts(**(COUNTS | {"pending": -1, "classified": 6})).check()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"counts": ReportCounts(**(COUNTS | {"received": 99}))}, "received 99"),
        (lambda _: {"quarantined": ()}, "quarantined=1, the rows say 0"),
        (lambda r: {"models": r.models[:1]}, "heartbeat"),
        (lambda _: {"unseen": ()}, "unseen_absent"),
        (lambda r: {"predictions": changed(r, decision="normal")}, "classified=4, the rows say 6"),
    ],
)
def test_a_report_whose_parts_disagree_is_refused(report, change, message):
    """Rows, models and quarantine must agree with the account."""
    with pytest.raises(ValueError, match=message):
        replace(report, **change(report))


def test_a_detail_must_belong_to_its_row_and_share_one_colour_bar(records, details):
    """A page never shows the signal of one record beside the decision on another."""
    with pytest.raises(ValueError, match=details[1].record.record_id):
        RecordDetail(record=records[0], row=details[1].row)
    view = details[0].spectrograms[0]
    with pytest.raises(ValueError, match="db_range"):
        replace(details[0], spectrograms=[view, replace(view, db_range=(-1.0, 1.0))])


def test_a_spectrogram_must_fit_its_axes():
    """The axes give the shape."""
    with pytest.raises(ValueError, match=r"\(3, 4\)"):
        SpectrogramView(title="x", values=np.zeros((4, 3)), freqs_hz=np.arange(3.0), times_s=np.arange(4.0), db_range=(0, 1))


def test_an_empty_run_is_a_report(report):
    """A night without records is told, not refused."""
    nothing = ReportCounts(**dict.fromkeys(COUNTS, 0))
    empty = replace(report, counts=nothing, predictions=run_table(), quarantined=(), models=(), unseen=(), unseen_absent="No record.")
    assert isinstance(empty, RunReport)
    assert len(empty.predictions) == 0
