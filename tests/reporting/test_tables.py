"""Here: tests of a run's table as CSV with its schema, and as a workbook."""

import csv
import io
import json
import re
import zipfile
from datetime import date
from xml.etree import ElementTree as ET

import pytest

from ecg_tasks import report_columns
from ecg_tasks.reporting import tables
from ecg_tasks.reporting.escaping import cell, printable
from tests.run_tables import ROW, columns_of, run_table

NAMES = [column.name for column in report_columns.COLUMNS]
CELL = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def _written(report):
    """Text of predictions.csv."""
    with tables.csv_file(report.predictions.parts()) as file:
        return file.read().decode()


def _sheets(table):
    """Cells of each sheet of a workbook, row by row: a text, a float, a bool, or None."""
    with tables.xlsx_file(table.parts()) as file, zipfile.ZipFile(file) as book:
        names = sorted(name for name in book.namelist() if re.fullmatch(r"xl/worksheets/sheet\d+\.xml", name))
        return [[_cells(row) for row in ET.fromstring(book.read(name)).iter(f"{CELL}row")] for name in names]  # noqa: S314 - our own


def _cells(row):
    read = {"inlineStr": str, "b": lambda text: text == "1", "n": float, None: float}
    found = {}
    for one in row:
        assert one.find(f"{CELL}f") is None, "a formula"
        place = 0
        for letter in re.match("[A-Z]+", one.get("r"))[0]:
            place = 26 * place + ord(letter) - ord("A") + 1
        found[place - 1] = read[one.get("t")]("".join(one.itertext()))
    return [found.get(place) for place in range(len(NAMES))]


def test_the_csv_has_every_record_with_its_model(report):
    """Python's own CSV reader gives back the rows with what judged them, in the order of the table."""
    rows = list(csv.DictReader(io.StringIO(_written(report))))
    assert list(rows[0]) == NAMES
    assert [row["decision"] for row in rows] == ["uncertain", "abnormal", "abnormal", "uninterpretable", "normal", "normal"]
    assert [row["probability"] for row in rows] == ["0.5", "1.0", "0.91", "", "0.1", "0.0"]
    assert {(row["threshold"], row["abstain_high"], row["model_digest"]) for row in rows} == {("0.5", "0.55", "0123456789ab")}
    assert [row["synthetic"] for row in rows] == ["no", "yes", "no", "no", "no", "yes"]


@pytest.mark.parametrize("value", [1 / 3, 0.1 + 0.2, 5e-324, 0.8123450875282288, 1.0])
def test_a_number_has_all_its_digits(value):
    """What is read from the CSV file is what was computed, to the last bit."""
    text = b"".join(tables.csv_pieces(run_table([{"probability": value}]).parts())).decode()
    assert float(next(csv.DictReader(io.StringIO(text)))["probability"]) == value


def test_columns_are_written_as_their_rows_would_be():
    """Texts, numbers, days, yes and no, and what is missing: column by column the file has the same bytes."""
    odd = [{"probability": value, "name": name} for value, name in ((-0.0, "=1"), (1e300, 'a "b", c'), (None, "\u00e4\r"), (5.0, "=1"))]
    odd.append({"synthetic": True, "label": None, "date": date(2026, 1, 2)})
    table = run_table([row | {"record_id": f"{number:032x}"} for number, row in enumerate(odd)])
    rows = (row for part in table.parts() for row in zip(*(part[name] for name in NAMES), strict=True))
    assert b"".join(tables.csv_pieces(table.parts())) == tables.csv_lines([NAMES, *rows])


def test_columns_are_written_as_rows_are():
    """Cell for cell what Python's CSV writer makes of each row, with all that must be quoted, and numbers that are equal but not alike."""
    names = ["plain", "a, b", 'say "x"', "two\nlines", "a\rb", " blank ", "", "=1+1", "'", ",", None, "ünï 心", "plain"]
    numbers = [0.0, -0.0, 1.0, 5e-324, None, 1 / 3, 1e300, 0.5, 0.0, -0.0, 2.0, 1.0, 0.1]
    rows = [{"record_id": f"{row:032x}", "name": name, "age": age} for row, (name, age) in enumerate(zip(names, numbers, strict=True))]
    part = columns_of(rows)
    assert b"".join(tables.csv_pieces([part])) == tables.csv_lines([NAMES, *zip(*part.values(), strict=True)])


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


def test_the_schema_tells_of_every_column():
    """In their order, with a type and a sentence; each CSV cell can be read by it."""
    fields = json.loads(tables.csv_schema())["fields"]
    assert [field["name"] for field in fields] == NAMES
    assert all(field["description"].endswith((".", ";")) for field in fields)
    types = {field["name"]: field["type"] for field in fields}
    assert (types["name"], types["probability"], types["n_used"], types["synthetic"]) == ("string", "number", "integer", "boolean")


def test_classes_have_columns_of_their_own():
    """Behind all others, in CSV, its schema and XLSX alike; what is not known of a class is an empty cell."""
    of_class = {"p_MI": 0.75, "class_MI": "present", "threshold_MI": 0.5, "abstain_low_MI": 0.25, "abstain_high_MI": 0.375}
    table = run_table([{"record_id": "a" * 32} | of_class, {"record_id": "b" * 32}], classes=("MI",))
    names = [*NAMES, *of_class]
    with tables.csv_file(table.parts(), table.classes) as file:
        head, first, second = csv.reader(io.StringIO(file.read().decode()))
    assert head == names
    assert dict(zip(head, first, strict=True)).items() >= {"p_MI": "0.75", "class_MI": "present", "abstain_high_MI": "0.375"}.items()
    assert second[len(NAMES) :] == [""] * 5
    fields = json.loads(tables.csv_schema(("MI",)))["fields"]
    assert [field["name"] for field in fields] == names
    assert [field["type"] for field in fields[len(NAMES) :]] == ["number", "string", "number", "number", "number"]
    with tables.xlsx_file(table.parts(), table.classes) as file, zipfile.ZipFile(file) as book:
        sheet = book.read("xl/worksheets/sheet1.xml").decode()
    assert sheet.count("<row ") == 3
    assert "abstain_high_MI" in sheet


def test_a_workbook_has_texts_numbers_and_nothing_that_runs():
    """Names are texts whatever they look like; a number is a number, and what is missing is an empty cell."""
    names = ["=1+1", "http://x", "0012", 'a, "b"\nc', "Ärzte\x07"]
    rows = [{"record_id": f"{row:032x}", "name": name, "probability": 1 / 3, "synthetic": True} for row, name in enumerate(names)]
    ((head, *found),) = _sheets(run_table(rows))
    assert head == NAMES
    told = [dict(zip(NAMES, row, strict=True)) for row in found]
    assert [row["name"] for row in told] == [*names[:4], "Ärzte\ufffd"]
    assert {(row["probability"], row["n_windows"], row["synthetic"], row["label"]) for row in told} == {(1 / 3, 2.0, True, None)}


def test_a_table_that_no_sheet_can_hold_goes_on_in_the_next(monkeypatch):
    """Every sheet has a head, and every row is in one of them; a table without rows is a head."""
    monkeypatch.setattr(tables, "ROWS_A_SHEET", 2)
    sheets = _sheets(run_table({"record_id": f"{row:032x}"} for row in range(5)))
    assert [len(sheet) for sheet in sheets] == [3, 3, 2]
    assert {sheet[0][0] for sheet in sheets} == {"record_id"}
    assert [row[0] for sheet in sheets for row in sheet[1:]] == [f"{row:032x}" for row in range(5)]
    assert _sheets(run_table()) == [[NAMES]]


def test_rows_show_dashes_for_what_is_missing():
    """A record without a probability or a label has a dash, never 'nan' or 'None'."""
    row = ROW | {"probability": None, "label": None, "flags": None}
    texts = {column.name: column.text(row) for column in report_columns.shown()}
    assert (texts["probability"], texts["label"], texts["flags"], texts["n_used"]) == ("–", "–", "", "1 / 2")
    assert [report_columns.differs("normal", label) for label in ("abnormal", "normal", None)] == [True, False, False]


@pytest.mark.parametrize("code", [0x0, 0x7, 0xB, 0x7F, 0x9F, 0xD800, 0xDFFF, 0xFDD0, 0xFFFE, 0x1FFFF, 0x10FFFF])
def test_characters_that_html_forbids_are_replaced(code):
    """Control characters, lone surrogates and noncharacters become U+FFFD."""
    assert printable(f"a{chr(code)}b") == "a\ufffdb"


def test_ordinary_text_is_left_as_it_is():
    """Letters of any script, line feeds and tabs pass."""
    text = "Überleitung\t心電図\nعربي 🫀"
    assert printable(text) == text
