"""The table of a report reads alike in every format, and as the page on it says: its dictionary is today's, and its snippets run."""

import io
import re
import shutil
import subprocess
import zipfile
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pyarrow.parquet as pq
import pytest

from docs import exports
from ecg_tasks import report_columns
from ecg_tasks.archive.predictions import RunTable
from ecg_tasks.reporting import tables
from tests.run_tables import ROW, run_table

TEXT = exports.PAGE.read_text(encoding="utf-8")
ROWS = [
    {"record_id": "a" * 32, "name": "NA", "probability": 1 / 3, "patient": "p1", "p_MI": 0.25, "class_MI": "absent"},
    {"record_id": "b" * 32, "name": "=1+1", "probability": 0.5, "patient": "p1", "synthetic": True, "age": None, "date": None},
    {"record_id": "c" * 32, "name": 'a, "b"\nc', "probability": None, "patient": None, "n_used": 0},
]
SHEET = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


@pytest.fixture(scope="module")
def table():
    """Rows with a value of each type, and without."""
    return run_table(ROWS, classes=("MI",))


@pytest.fixture
def folder(table, tmp_path, monkeypatch):
    """A folder with the files as they are downloaded, in which a snippet runs."""
    (tmp_path / "predictions.csv").write_bytes(b"".join(tables.csv_pieces(table.parts(), table.classes)))
    (tmp_path / "predictions.parquet").write_bytes(b"".join(table.pieces()))
    (tmp_path / "dictionary.csv").write_bytes(tables.dictionary_csv(table.classes))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def snippet(language, name):
    """Return the snippet of the page whose first line is a comment with this name."""
    (code,) = re.findall(rf"```{language}\n# {name}\n(.*?)```", TEXT, re.DOTALL)
    return code


def test_the_dictionary_is_todays():
    """``python -m docs.exports`` would change nothing, and every column has a line."""
    assert exports.page(TEXT) == TEXT
    assert all(f"| `{column.name}` | " in TEXT for column in report_columns.COLUMNS)


def test_each_column_has_one_type_in_every_format(table):
    """The list's own: Parquet has it, a cell of XLSX has it, and CSV's schema names it."""
    kinds = {column.name: column.type for column in report_columns.columns_with(table.classes)}
    schema = pq.read_schema(table.file)
    parquet = {str: "string", float: "double", int: "int32", bool: "bool", date: "date32[day]"}
    assert {name: str(schema.field(name).type) for name in kinds} == {name: parquet[kind] for name, kind in kinds.items()}
    with tables.xlsx_file(table.parts(), table.classes) as file, zipfile.ZipFile(file) as book:
        rows = list(ET.fromstring(book.read("xl/worksheets/sheet1.xml")).iter(f"{SHEET}row"))  # noqa: S314 - our own
    head = ["".join(cell.itertext()) for cell in rows[0]]
    assert head == list(kinds)
    seen = set()
    for row in rows[1:]:
        for cell in row:
            letters = re.match("[A-Z]+", cell.get("r"))[0]
            place = sum((ord(letter) - ord("A") + 1) * 26**power for power, letter in enumerate(reversed(letters))) - 1
            kind = kinds[head[place]]
            seen.add(kind)
            assert cell.find(f"{SHEET}f") is None
            assert cell.get("t") == {str: "inlineStr", bool: "b"}.get(kind), head[place]
            assert (cell.get("s") is not None) == (kind is date)  # a day is a number that is shown as one
    assert seen == set(parquet)


def test_the_snippet_of_pandas_reads_what_parquet_holds(folder, table):
    """Value for value and missing for missing; a text that a spreadsheet would run has its apostrophe in CSV alone."""
    import pandas as pd

    defined = {}
    exec(compile(snippet("python", "pandas"), exports.PAGE.name, "exec"), defined)  # noqa: S102 - our own text
    found = defined["table"].set_index("record_id")
    wanted = pd.read_parquet(folder / "predictions.parquet").set_index("record_id")
    assert list(found.columns) == list(wanted.columns)
    for name in wanted.columns:
        for ours, theirs in zip(found[name], wanted[name], strict=True):
            if pd.isna(theirs):
                assert pd.isna(ours), name
            elif name == "date":
                assert ours.date() == theirs
            else:
                assert ours == (f"'{theirs}" if theirs == "=1+1" else theirs), name
    assert defined["by_person"].to_dict() == {"p1": 0.5}
    assert str(found["synthetic"].dtype) == "boolean"
    assert str(found["n_used"].dtype) == "Int64"


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="Rscript is not there")
def test_the_snippet_of_r_reads_what_parquet_holds(folder):
    """The same numbers, days and truths, told by R itself."""
    told = "cat(class(table$date), class(table$synthetic), class(table$n_used), sum(table$synthetic), by_person$probability, table$name[2])"
    Path("read.R").write_text(f"{snippet('r', 'R')}\n{told}\n", encoding="utf-8")
    done = subprocess.run(["Rscript", "--vanilla", "read.R"], capture_output=True, text=True, check=True, cwd=folder)
    order = sorted(ROWS, key=lambda row: row["record_id"])
    assert done.stdout.split()[:5] == ["Date", "logical", "integer", str(sum((ROW | row)["synthetic"] for row in order)), "0.5"]


def test_older_tables_have_none_in_the_columns_that_came_later(tmp_path):
    """A report that was written without them opens, and says nothing there; its file stays as it was."""
    later = {"patient", "run", "date", "page"}
    today = run_table(ROWS)
    whole = pq.read_table(io.BytesIO(b"".join(today.pieces())))
    path = tmp_path / "old.parquet"
    pq.write_table(whole.drop_columns(sorted(later)), path)
    with path.open("rb") as file:
        old = RunTable(file)
        (part,) = old.parts()
        assert all(part[name] == [None] * 3 for name in later)
        assert part["name"] == whole["name"].to_pylist()
        assert b"".join(old.pieces()) == path.read_bytes()
        text = b"".join(tables.csv_pieces(old.parts())).decode()
    assert text.splitlines()[0].endswith(",shard,patient,run,date,page")
