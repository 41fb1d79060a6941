"""The changelog says each thing once, also after two versions of it were merged line by line."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
ALIKE = 0.55
"""Two entries with so great a share of their words in common are one; entries about one thing had at most 0.36 on 2026-11-30."""
FREQUENT = frozenset(
    [
        "a",
        "an",
        "and",
        "are",
        "as",
        "at",
        "be",
        "by",
        "for",
        "from",
        "has",
        "have",
        "in",
        "is",
        "it",
        "its",
        "not",
        "of",
        "on",
        "or",
        "that",
        "the",
        "to",
        "was",
        "which",
        "with",
    ]
)


def entries() -> list[str]:
    """Lines of the newest version."""
    _, version, *_ = re.split(r"^## ", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    return [line for line in version.splitlines() if line.startswith("- ")]


def twice(lines: list[str]) -> list[tuple[str, str]]:
    """Pairs of lines that say the same in other words."""
    words = [set(re.findall(r"[\w./-]+", line.lower())) - FREQUENT for line in lines]
    return [
        (lines[first], lines[second])
        for second, later in enumerate(words)
        for first, earlier in enumerate(words[:second])
        if len(earlier & later) > ALIKE * len(earlier | later)
    ]


def test_each_change_has_one_line():
    """A line that was written again in other words has not kept the old one beside it."""
    assert len(entries()) > 1
    assert twice(entries()) == []


def test_a_line_in_other_words_is_found():
    """The search finds what a merge leaves, and passes over two changes of one thing."""
    old = "- Reading a day of three leads at 128 Hz takes 0.6 GB, where it was 1.5 GB, and as many samples at worst 0.7 GB."
    new = "- Reading a day of three leads at 128 Hz takes 0.6 GB instead of 1.5 GB, and as many samples in the worst case 0.7 GB."
    assert twice([old, "- Reading a recording of one lead takes 0.2 GB.", new]) == [(old, new)]
