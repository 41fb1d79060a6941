"""Here: tests of the table of what a run says of each record."""

import numpy as np
import pytest

from ecg_tasks.labels import Decision, Label
from ecg_tasks.reporting import predictions as module
from ecg_tasks.reporting.predictions import PREDICTION_COLUMNS, PredictionRow, Predictions

ROW = {
    "name": "a.hea",
    "source_sha256": "ab" * 32,
    "decision": "normal",
    "probability": 0.25,
    "recipe": "heartbeat",
    "version": "v1",
    "n_windows": 2,
    "n_used": 1,
    "quality": 0.9,
    "flags": "",
    "seconds_read": "0-10 of 10 s",
    "label": None,
    "synthetic": False,
}


def columns(ids, **changes):
    """Columns of rows that differ in their ids, and in what is given as a list."""
    return {
        "record_id": ids,
        **{name: changes[name] if name in changes else [ROW[name]] * len(ids) for name in ROW},
    }


def test_the_columns_are_the_fields_of_a_row():
    """One list of names serves the table and the single row."""
    assert tuple(PredictionRow.__dataclass_fields__) == PREDICTION_COLUMNS


def test_a_column_that_is_missing_is_named():
    """Nothing is filled in for it."""
    with pytest.raises(ValueError, match="quality"):
        Predictions().add({name: [] for name in PREDICTION_COLUMNS if name != "quality"})


def test_columns_must_be_of_one_length():
    """Half a row is none, and nothing of what was given with it stays."""
    table = Predictions()
    with pytest.raises(ValueError, match="shorter"):
        table.add(columns(["a" * 32, "b" * 32], quality=[0.5]))
    assert len(table) == 0


def test_rows_come_in_the_order_asked_for_with_none_for_what_is_missing(report):
    """A NaN probability and an absent label become None; the rest keeps its type."""
    ids = [record_id for (record_id,) in report.predictions.select(("record_id",))][::-1]
    rows = report.predictions.rows(ids)
    assert [row.record_id for row in rows] == ids
    uninterpretable = next(row for row in rows if row.decision is Decision.UNINTERPRETABLE)
    assert uninterpretable.probability is None
    assert uninterpretable.label is None
    assert rows[-1].label is Label.NORMAL
    assert isinstance(rows[-1].n_windows, int)
    assert report.predictions.numbers(ids) == {record_id: len(ids) - 1 - place for place, record_id in enumerate(ids)}
    with pytest.raises(KeyError, match="f" * 32):
        report.predictions.rows(["f" * 32])


def test_a_record_id_that_could_leave_its_folder_is_refused():
    """The id becomes a file name, so it is 32 hex digits and nothing else."""
    with pytest.raises(ValueError, match="32 lower-case hex digits"):
        PredictionRow.from_mapping(ROW | {"record_id": "../../etc/passwd"})


def test_scores_of_a_model_come_in_blocks(monkeypatch):
    """All rows of the model and of no other, with NaN for a record without a probability."""
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 3)
    ids = [f"{number:032x}" for number in range(10)]
    table = Predictions()
    table.add(columns(ids[:8], probability=np.array([0.0, 0.1, np.nan, 0.3, 0.4, 0.5, 0.6, 0.7])))
    table.add(columns(ids[8:], version=["v2", "v2"]))
    blocks = list(table.scores("heartbeat", "v1"))
    assert [len(decision) for decision, _ in blocks] == [3, 3, 2]
    assert np.isnan(blocks[0][1]).tolist() == [False, False, True]
    assert blocks[2][1].tolist() == [0.6, 0.7]
    assert table.n_by_model == {("heartbeat", "v1"): 8, ("heartbeat", "v2"): 2}


def test_a_record_with_two_rows_is_found():
    """Whatever the order in which they came."""
    table = Predictions()
    table.add(columns(["c" * 32, "a" * 32]))
    assert table.repeated() is None
    table.add(columns(["b" * 32, "c" * 32]))
    assert table.repeated() == "c" * 32
