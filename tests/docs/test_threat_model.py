"""The table of OWASP's ASVS is complete, and what it says is held is held by something that is there."""

import csv
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLE = ROOT / "docs" / "asvs.csv"
SECTIONS = {
    1: (2, 9, 11, 3, 2),
    2: (3, 3, 4, 1),
    3: (0, 2, 4, 6, 5, 0, 2),
    4: (3, 1, 2, 4),
    5: (1, 3, 2, 3),
    6: (3, 12, 4, 4, 5, 3, 0, 4),
    7: (3, 4, 2, 5, 2, 2),
    8: (2, 3, 1, 1),
    9: (3, 4),
    10: (2, 2, 4, 11, 5, 2, 3),
    11: (2, 3, 3, 4, 1, 1),
    12: (3, 2, 4),
    13: (1, 5, 2, 5),
    14: (2, 4, 3),
    15: (3, 3, 7),
    16: (1, 5, 4, 3, 3),
    17: (1, 4, 2),
}
"""Requirements of levels 1 and 2 in each section of each chapter of ASVS 5.0.0."""
OTHERS = ("Airflow 3.3", "FAB 3.10", "Authlib", "Uvicorn", "eventlet", "boto3", "httpx")
"""What holds a requirement and is no file of ours: a package that is locked, or its server."""


def rows():
    """The table."""
    with TABLE.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_requirement_has_one_row():
    """As many rows in each section as the standard has requirements of levels 1 and 2, each once and in order."""
    found = [tuple(int(part) for part in row["requirement"].split(".")) for row in rows()]
    assert found == sorted(set(found))
    sections = Counter((chapter, section) for chapter, section, _ in found)
    expected = {(chapter, at): n for chapter, numbers in SECTIONS.items() for at, n in enumerate(numbers, start=1) if n}
    assert sections == expected
    assert sum(sections.values()) == 253


def test_the_page_counts_as_the_table_does():
    """How many are met, not met and not applicable."""
    states = Counter(row["state"] for row in rows())
    page = (ROOT / "docs" / "threat-model.md").read_text()
    counts = f"{states['met']} are met, {states['not met']} are not met, and {states['not applicable']} do not apply"
    assert f"Of 253 requirements, {counts}." in page


@pytest.mark.parametrize("row", rows(), ids=lambda row: row["requirement"])
def test_a_row_says_what_is_so(row):
    """A requirement that is met names what holds it, and that is there; any other says why it is not."""
    assert row["level"] in {"1", "2"}
    assert row["state"] in {"met", "not met", "not applicable"}
    holders = list(filter(None, row["held by"].split("; ")))
    assert holders or row["state"] != "met"
    assert row["remark"] or row["state"] != "not applicable"
    for holder in holders:
        file, _, _ = holder.partition(" (")
        assert holder.startswith(OTHERS) or (ROOT / file).exists(), holder
