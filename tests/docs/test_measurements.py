"""Every measurement says what was measured, by which command, where and when, and is listed."""

import re
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "docs" / "measurements"
PAGES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_measurement_says_what_how_where_and_when(page):
    """The table below the title has the four rows, none of them empty, and a day."""
    rows = dict(re.findall(r"^\| (what|command|machine|date) \| (\S.*) \|$", page.read_text().split("\n\n")[1], re.MULTILINE))
    assert list(rows) == ["what", "command", "machine", "date"]
    assert re.search(r"20\d\d-\d\d-\d\d", rows["date"])


def test_every_measurement_is_listed():
    """The folder's list has a line for each page, under the page's title or its beginning."""
    lines = re.findall(r"^\| \[([^\]]+)\]\(([a-z-]+\.md)\)", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert sorted(name for _, name in lines) == [page.name for page in PAGES]
    assert all((FOLDER / name).read_text().startswith(f"# {title}") for title, name in lines)
