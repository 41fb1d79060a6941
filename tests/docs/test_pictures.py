"""The pictures of our pages come from a script, so that they can be made again after a change; each is shown somewhere."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PICTURES = ROOT / "docs" / "pictures"
OTHERS = {"airflow.png", "wrong_labels.svg"}
"""Airflow's own page, and the curve of a study (``research.wrong_labels``)."""


def test_every_picture_is_made_by_the_script():
    """And the script makes none that is not there."""
    made = set(re.findall(r'picture\("([\w.-]+)"', (ROOT / "docs" / "pictures.py").read_text()))
    assert made | OTHERS == {file.name for file in PICTURES.iterdir()}
    assert not made & OTHERS


def test_every_picture_is_shown():
    """On a page of the documentation, or in the README."""
    pages = "\n".join(page.read_text() for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")))
    assert {file.name for file in PICTURES.iterdir() if f"pictures/{file.name}" not in pages} == set()
