"""The faults of other projects are those of the versions that are locked, and are worked around where it is said."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "upstream.md").read_text().splitlines()
    if line.startswith("|") and not line.startswith(("| project", "|---"))
]
LOCKED = {
    name: version
    for lock in ("dev", "objectstore")
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "locks" / f"{lock}.txt").read_text(), re.MULTILINE)
}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[2][:30]}")
def test_each_row_is_of_the_locked_version(row):
    """Whoever raises a version looks at its rows again; the workaround is where it is said, and speaks of the project."""
    project, version, _, where, _ = row
    assert LOCKED[project] == version
    text = (ROOT / where.strip("`")).read_text().lower()
    assert project.removeprefix("apache-").removeprefix("pytest-") in text
