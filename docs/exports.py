"""Here: the data dictionary of a report's table, made from the list of its columns. Not here: the columns (``ecg_tasks.report_columns``).

``python -m docs.exports`` writes it into exports.md beside this file.
"""

import re
from pathlib import Path

from ecg_tasks.reporting.tables import dictionary

PAGE = Path(__file__).with_suffix(".md")
CLASS = "NAME"
"""Stands in the page for the name of a class that a version reports."""


def table() -> str:
    """Return the dictionary as a table of Markdown; the columns of a class come last, once for all classes."""
    rows = (f"| `{name}` | {kind} | {description.replace('|', chr(92) + '|')} |" for name, kind, description in dictionary((CLASS,)))
    return "\n".join(["| column | type | what it says |", "|---|---|---|", *rows])


def page(text: str) -> str:
    """Put today's dictionary into the page."""
    told = f"{table()}\n\nThe last five columns exist once for each class {CLASS} that a version of the run reports, such as `p_MI`."
    return re.sub(r"(<!-- made by [^>]+ -->\n).*?(<!-- end -->)", lambda found: f"{found[1]}\n{told}\n\n{found[2]}", text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
