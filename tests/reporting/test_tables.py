"""Here: tests of predictions.csv and of the rows that the index lists."""

import csv
import io

import pytest

from ecg_tasks.reporting.escaping import cell, printable
from ecg_tasks.reporting.predictions import PREDICTION_COLUMNS
from ecg_tasks.reporting.tables import MODEL_COLUMNS, listed_rows, predictions_csv


def _written(report):
    """Text of predictions.csv."""
    with predictions_csv(report) as file:
        return file.read().decode()


def test_the_csv_has_every_record_with_its_model(report):
    """Python's own CSV reader gives back the predictions, the threshold and the digest."""
    rows = list(csv.DictReader(io.StringIO(_written(report))))
    assert tuple(rows[0]) == PREDICTION_COLUMNS + MODEL_COLUMNS
    assert [row["record_id"] for row in rows] == [record_id for (record_id,) in report.predictions.select(("record_id",))]
    assert float(rows[0]["probability"]) == pytest.approx(0.91)
    assert rows[0]["threshold"] == "0.500000"
    assert rows[0]["model_digest"] == "0123456789ab"
    assert rows[3]["probability"] == ""
    assert [row["synthetic"] for row in rows] == ["no"] * 4 + ["yes"] * 2


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(1)", "\t=1", " =1", "＝1", "\r\n=1"])
def test_a_cell_that_a_spreadsheet_would_run_is_neutralised(text):
    """An apostrophe stands in front of every such cell, also behind blanks, and of no other."""
    assert cell("a=1") == "a=1"
    assert cell(text) == "'" + printable(text)


def test_no_cell_of_the_csv_starts_like_a_formula(report):
    """Names that came from files are neutralised on their way into the file."""
    for row in csv.reader(io.StringIO(_written(report))):
        for text in row:
            assert not text.startswith(("=", "+", "-", "@")), text


def test_listed_rows_start_with_what_needs_eyes(report):
    """Uncertain, then abnormal by falling probability, uninterpretable, and normal last."""
    rows = listed_rows(report)
    assert [row.decision for row in rows] == ["uncertain", "abnormal", "abnormal", "uninterpretable", "normal", "normal"]
    assert [row.probability for row in rows] == ["0.500", "1.000", "0.910", "–", "0.100", "0.000"]
    assert [row.differs for row in rows] == [False, False, True, False, False, False]


@pytest.mark.parametrize("code", [0x0, 0x7, 0xB, 0x7F, 0x9F, 0xD800, 0xDFFF, 0xFDD0, 0xFFFE, 0x1FFFF, 0x10FFFF])
def test_characters_that_html_forbids_are_replaced(code):
    """Control characters, lone surrogates and noncharacters become U+FFFD."""
    assert printable(f"a{chr(code)}b") == "a\ufffdb"


def test_ordinary_text_is_left_as_it_is():
    """Letters of any script, line feeds and tabs pass."""
    text = "Überleitung\t心電図\nعربي 🫀"
    assert printable(text) == text


def test_a_probability_of_nan_is_no_number(report):
    """A record without a probability has a dash, never 'nan'."""
    assert next(report.predictions.select(("count(*)",), "WHERE probability IS NULL")) == (1,)
    assert all("nan" not in row.probability for row in listed_rows(report))
