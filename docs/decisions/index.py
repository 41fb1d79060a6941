"""Here: the list of the decisions. Not here: the decisions themselves, a file each.

``python -m docs.decisions.index`` writes it, as README.md beside this file.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
HEADINGS = ("Status", "Context", "Decision", "Alternatives", "Consequences")
"""Of every decision, in this order."""

_HEAD = """\
# Decisions

Why the system is as it is: one file for each decision, in the order in which they were made. The status says
whether a decision still holds.

A new decision takes the next number and has the same headings: *Status* (`Accepted on <date>.`), *Context* (the question, and what was
observed), *Decision*, *Alternatives* (what was refused, and why) and *Consequences* (what follows, with figures). An old
decision is not rewritten when things change. The newer decision says what holds now, and the status of the older one names it
(`; superseded by`, or `; amended by` if most of it still holds). `python -m docs.decisions.index` writes this list.

| | decision | date | status |
|---|---|---|---|
"""


@dataclass(frozen=True)
class DecisionFile:
    """One file of the folder."""

    path: Path
    title: str
    sections: dict[str, str]
    """Heading to text, in the file's order."""

    @property
    def number(self) -> str:
        """The four digits of its name."""
        return self.path.name[:4]

    @property
    def date(self) -> str:
        """The day of its status."""
        (date,) = re.findall(r"^Accepted on (\d{4}-\d\d-\d\d)", self.sections["Status"])
        return str(date)

    @property
    def superseded(self) -> bool:
        """Whether another decision holds in its place."""
        return "; superseded by" in self.sections["Status"]

    @property
    def successors(self) -> list[str]:
        """File names of the decisions that its status links to."""
        return re.findall(r"\]\(([^)]+)\)", self.sections["Status"])


def read(path: Path) -> DecisionFile:
    """Take a file apart at its headings."""
    head, *parts = re.split(r"^## (.+)\n", path.read_text(), flags=re.MULTILINE)
    sections = {heading: text.strip() for heading, text in zip(parts[::2], parts[1::2], strict=True)}
    return DecisionFile(path, head.strip().removeprefix("# "), sections)


def decisions(folder: Path = FOLDER) -> list[DecisionFile]:
    """Return all of the folder, in their order."""
    return [read(path) for path in sorted(folder.glob("[0-9]*.md"))]


def index(folder: Path = FOLDER) -> str:
    """Return the text of README.md."""
    return _HEAD + "".join(f"| {one.number} | [{one.title}]({one.path.name}) | {one.date} | {_state(one)} |\n" for one in decisions(folder))


def _state(decision: DecisionFile) -> str:
    by = ", ".join(f"[{name[:4]}]({name})" for name in decision.successors)
    if decision.superseded:
        return f"superseded by {by}"
    return f"accepted, amended by {by}" if by else "accepted"


if __name__ == "__main__":
    (FOLDER / "README.md").write_text(index())
