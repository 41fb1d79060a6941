"""Here: tests that a report whose parts do not agree cannot be made."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.labels import Decision, Label
from ecg_tasks.reporting.model import PREDICTION_COLUMNS, Account, PredictionRow, RecordDetail, RunReport, SpectrogramView, prediction_rows

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


@pytest.mark.parametrize("name", sorted(COUNTS))
def test_an_account_that_does_not_add_up_is_refused(name):
    """Any single count that is one too high breaks a sum, and the error names it."""
    Account(**COUNTS)
    with pytest.raises(ValueError, match=name):
        Account(**(COUNTS | {name: COUNTS[name] + 1}))


def test_a_negative_count_is_refused():
    """Two wrongs that add up are still refused."""
    with pytest.raises(ValueError, match="pending=-1"):
        Account(**(COUNTS | {"pending": -1, "classified": 6}))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda _: {"quarantined": ()}, "quarantined=1, the rows say 0"),
        (lambda r: {"models": r.models[:1]}, "heartbeat"),
        (lambda _: {"unseen": ()}, "unseen_absent"),
        (lambda r: {"predictions": r.predictions.drop(columns="quality")}, "quality"),
        (lambda r: {"predictions": r.predictions.assign(decision="normal")}, "classified=4, the rows say 6"),
        (lambda r: {"predictions": r.predictions.assign(decision="maybe")}, "maybe"),
        (lambda r: {"predictions": r.predictions.assign(record_id="0" * 32)}, "repeat a record"),
    ],
)
def test_a_report_whose_parts_disagree_is_refused(report, change, message):
    """Rows, models and quarantine must agree with the account."""
    with pytest.raises(ValueError, match=message):
        replace(report, **change(report))


def test_rows_come_in_the_order_asked_for_with_none_for_what_is_missing(report):
    """A NaN probability and an absent label become None; the rest keeps its type."""
    ids = list(report.predictions["record_id"])[::-1]
    rows = prediction_rows(report.predictions, ids)
    assert [row.record_id for row in rows] == ids
    uninterpretable = next(row for row in rows if row.decision is Decision.UNINTERPRETABLE)
    assert uninterpretable.probability is None
    assert uninterpretable.label is None
    assert rows[-1].label is Label.NORMAL
    assert isinstance(rows[-1].n_windows, int)


def test_a_record_id_that_could_leave_its_folder_is_refused(report):
    """The id becomes a file name, so it is 32 hex digits and nothing else."""
    values = report.predictions.iloc[0].to_dict() | {"record_id": "../../etc/passwd"}
    with pytest.raises(ValueError, match="32 lower-case hex digits"):
        PredictionRow.from_mapping(values)


def test_the_columns_are_the_fields_of_a_row():
    """One list of names serves the table and the single row."""
    assert tuple(PredictionRow.__dataclass_fields__) == PREDICTION_COLUMNS


def test_a_detail_must_belong_to_its_row_and_share_one_colour_bar(records, details):
    """A page never shows the signal of one record beside the decision on another."""
    with pytest.raises(ValueError, match=details[1].row.record_id):
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
    nothing = Account(**dict.fromkeys(COUNTS, 0))
    empty = replace(
        report, account=nothing, predictions=report.predictions.iloc[:0], quarantined=(), models=(), unseen=(), unseen_absent="No record."
    )
    assert isinstance(empty, RunReport)
    assert sum(empty.decisions.values()) == 0
