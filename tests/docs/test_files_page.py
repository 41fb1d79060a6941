"""The page on files names every reason for which a file is refused, and the limits, as the program does."""

import re
from pathlib import Path

from ecg_tasks.errors import ADVICE, SENTENCES, Reason
from ecg_tasks.readers.leads import FS_RANGE

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "files.md"


def test_the_page_has_each_reason_with_its_sentence_and_advice():
    """One row for each, in the order of the program and in its words."""
    (section,) = re.findall(r"^## When a file is refused\n(.*?)^## ", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)
    assert rows == [(reason.value, SENTENCES[reason], ADVICE[reason]) for reason in Reason]


def test_the_sampling_rates_are_those_that_are_read():
    """No page promises any rate."""
    lowest, highest = FS_RANGE
    for page in (PAGE, ROOT / "README.md"):
        assert f"{lowest:.0f} to {highest:,.0f} Hz" in page.read_text(encoding="utf-8")
