"""The rows of a report: the filters and orders agree with going through the rows one by one, and 100,000 of them are quick."""

import csv
import io
import time

import numpy as np
import pytest

from ecg_tasks.queries.report_table import SORTS, Query, RunTable

HEADER = "record_id,name,source_sha256,decision,probability,recipe,version,n_windows,n_used,quality,flags,label,synthetic,model_digest"
DECISIONS = ("normal", "abnormal", "uncertain", "uninterpretable")
FIRST = ("uncertain", "abnormal", "uninterpretable", "normal")


def made(n: int) -> tuple[bytes, list[dict[str, str]]]:
    """A report's CSV and its rows; names with commas, quotes, line breaks and NA among them."""
    rng = np.random.default_rng(0)
    names = ("NA", 'a "quoted", one', "two\nlines", "'=1+1", "Ünïcode", "plain")
    rows = []
    for row in range(n):
        decision = DECISIONS[rng.integers(4)]
        probability = "" if decision == "uninterpretable" else f"{rng.random():.6f}"
        label = ("", "normal", "abnormal")[rng.integers(3)]
        values = (
            f"{row:032x}",
            f"{names[row % 6]}#{row}",
            "ab" * 32,
            decision,
            probability,
            "heartbeat",
            "v1",
            "2",
            "1",
            f"{rng.random():.6f}",
        )
        rows.append(dict(zip(HEADER.split(","), (*values, "noise,lead_off" if row % 5 == 0 else "", label, "no", "d"), strict=True)))
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, HEADER.split(","), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode(), rows


@pytest.fixture(scope="module")
def small():
    """300 rows, and the table made of them."""
    data, rows = made(300)
    return RunTable(data), rows


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        (Query(), lambda row: True),  # noqa: ARG005
        (Query(text="LEAD off"), lambda row: "lead_off" in row["flags"]),
        (Query(text="#29 plain"), lambda row: "#29" in row["name"] and "plain" in row["name"]),
        (Query(text="na#"), lambda row: row["name"].startswith("NA#")),
        (Query(decision="uncertain"), lambda row: row["decision"] == "uncertain"),
        (Query(label="none"), lambda row: row["label"] == ""),
        (Query(label="normal", decision="abnormal"), lambda row: (row["label"], row["decision"]) == ("normal", "abnormal")),
        (Query(differs=True), lambda row: {row["label"], row["decision"]} == {"normal", "abnormal"}),
        (Query(recipe="twelve_lead"), lambda row: False),  # noqa: ARG005
    ],
)
def test_filters_keep_the_rows_that_pass(small, query, passes):
    """The same rows as one by one."""
    table, rows = small
    assert {row["record_id"] for row in table.rows(table.select(query))} == {row["record_id"] for row in rows if passes(row)}


@pytest.mark.parametrize("sort", [sort for sort in SORTS if sort != "attention"])
@pytest.mark.parametrize("descending", [False, True])
def test_orders(small, sort, descending):
    """Each column rises or falls; a probability that is not known counts as the lowest."""
    table, _ = small
    name = "n_used" if sort == "windows" else sort
    values = [row[name] for row in table.rows(table.select(Query(sort=sort, descending=descending)))]
    values = [-1 if value is None else value for value in values]
    assert values == sorted(values, reverse=descending)


def test_what_needs_eyes_comes_first(small):
    """The report's own order: uncertain, abnormal, uninterpretable, normal, each by falling probability."""
    table, rows = small
    expected = sorted(rows, key=lambda row: (FIRST.index(row["decision"]), -float(row["probability"] or 0), row["record_id"]))
    assert [row["record_id"] for row in table.rows(table.select(Query()))] == [row["record_id"] for row in expected]


def test_csv_of_a_filter_is_the_reports_own_cells(small):
    """Every cell as it was, in the order of the filter, with its header; more rows than are written at a time, too."""
    table, rows = small
    places = table.select(Query(sort="name", descending=True))
    found = list(csv.DictReader(io.StringIO(b"".join(table.csv(places)).decode(), newline="")))
    assert found == [rows[place] for place in places]
    assert b"".join(table.csv(places[:0])).decode().strip() == HEADER


def test_neighbours_are_those_of_the_filter(small):
    """Before and after a record stand the rows beside it; at the ends, and for a row that does not pass, nobody."""
    table, _ = small
    query = Query(decision="normal", sort="quality")
    ids = [row["record_id"] for row in table.rows(table.select(query))]
    assert table.neighbours(query, ids[0]) == (None, ids[1])
    assert table.neighbours(query, ids[5]) == (ids[4], ids[6])
    assert table.neighbours(query, ids[-1]) == (ids[-2], None)
    assert table.neighbours(Query(recipe="none"), ids[0]) == (None, None)


def test_a_hundred_thousand_rows_are_quick():
    """After the first question a filter with an order takes a small part of a second, also where other work runs."""
    data, _ = made(1000)
    head, _, body = data.partition(b"\n")
    table = RunTable(head + b"\n" + body * 100)
    query = Query(text="plain", decision="normal", sort="name")
    table.select(query)
    start = time.process_time()
    assert len(table.select(query)) > 0
    assert time.process_time() - start < 0.5
