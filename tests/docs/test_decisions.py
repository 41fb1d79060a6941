"""Every decision has its headings and its number; the list is what the script gives; nothing is superseded by nothing."""

import re
from itertools import pairwise

import pytest

from docs.decisions.index import FOLDER, HEADINGS, DecisionFile, decisions, index

DECISIONS = decisions()
NAMES = {decision.path.name for decision in DECISIONS}
each = pytest.mark.parametrize("decision", DECISIONS, ids=lambda decision: decision.path.stem)


def test_the_list_is_what_the_script_gives():
    """README.md is up to date; python -m docs.decisions.index writes it."""
    assert (FOLDER / "README.md").read_text() == index()


def test_numbers_are_consecutive():
    """From 0001 on, none left out, none twice; no other page lies in the folder."""
    assert [decision.number for decision in DECISIONS] == [f"{number:04d}" for number in range(1, len(DECISIONS) + 1)]
    assert {path.name for path in FOLDER.glob("*.md")} == NAMES | {"README.md"}


def test_dates_follow_the_numbers():
    """A decision is not older than the one before it."""
    assert all(earlier.date <= later.date for earlier, later in pairwise(DECISIONS))


@each
def test_a_decision_has_a_title_and_five_headings_with_text(decision: DecisionFile):
    """The headings stand in their order, and something stands below each."""
    assert re.fullmatch(r"\S.*\S", decision.title)
    assert not decision.title.endswith(".")
    assert tuple(decision.sections) == HEADINGS
    assert all(decision.sections.values())


@each
def test_a_status_names_what_came_later(decision: DecisionFile):
    """What a status links to is a later decision that is there; what supersedes another says so itself."""
    status = re.sub(r"\[(\d{4})\]\(\1-[a-z0-9-]+\.md\)", "N", " ".join(decision.sections["Status"].split()))
    date = r"\d{4}-\d\d-\d\d"
    assert re.fullmatch(rf"Accepted on {date}(; amended by N((, N)* and N)?|; superseded by N)?\.", status)
    assert set(decision.successors) <= NAMES
    assert all(name > decision.path.name for name in decision.successors)
    if decision.superseded:
        (successor,) = decision.successors
        assert f"]({decision.path.name})" in (FOLDER / successor).read_text()
