"""Here: the documentation as a site: which pages, in which order, and what the build makes of them. Not here: the pages.

``.venv-dev/bin/sphinx-build -W --keep-going -q -c docs . build/site`` builds it; its first page is ``build/site/index.html``. Every warning
is an error, a link that leads nowhere too. The pages are the Markdown files as they are, with links between files, so that they read as
well where nothing is built.
"""

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ecg_tasks import __version__  # noqa: E402 - found by the line above

project = "ECG spectrograms"
release = __version__
copyright = "the authors; Apache License 2.0"  # noqa: A001 - Sphinx's name

extensions = ["myst_parser"]
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "benchmarks/*.md", "research/*.md", "models/**/card.md"]
_WALKED = {pattern.partition("/")[0] for pattern in include_patterns}
exclude_patterns = [f"{folder.name}/**" for folder in ROOT.iterdir() if folder.is_dir() and folder.name not in _WALKED]
myst_heading_anchors = 4
myst_enable_extensions = ["html_image"]

highlight_language = "text"

html_theme = "furo"
html_title = f"ECG spectrograms {__version__}"
html_show_sourcelink = False
html_copy_source = False
html_additional_pages = {"index": "first.html"}
templates_path = ["site"]

PARTS = {
    "Use": ("commands", "cli", "pages", "files", "exports", "collections", "review-and-drift", "models", "package", "glossary"),
    "Operate": ("settings", "operations", "accounts", "privacy", "threat-model", "distributed", "scaling", "faults", "fuzzing"),
    "How it is built": (
        "architecture",
        "../CONTRIBUTING",
        "style",
        "decisions/README",
        "measurements/README",
        "../benchmarks/README",
        "../research/README",
        "upstream",
        "../CHANGELOG",
    ),
}
"""Part of the menu to its pages, relative to ``docs/``. A page that is in no part comes last in the first one."""


def setup(sphinx: "Sphinx") -> None:
    """Let the build add what only the site needs."""
    sphinx.connect("source-read", _add)


def _add(sphinx: "Sphinx", page: str, source: list[str]) -> None:
    if page == root_doc:
        source[0] += "".join(_menu(part, pages) for part, pages in _parts(sphinx.project.docnames).items())
    elif page == "docs/measurements/README":
        others = sorted(name for name in sphinx.project.docnames if name.startswith("docs/measurements/") and name != page)
        source[0] += _menu("", [f"/{name}" for name in others])
    elif re.match(r"docs/decisions/\d|models/", page):
        source[0] = f"---\norphan: true\n---\n{source[0]}"  # reached by a link; in the menu a hundred decisions would be in the way
    elif page == "docs/architecture":
        source[0] = re.sub(r"```mermaid\n(.*?)```", lambda found: arrows(found.group(1)), source[0], flags=re.DOTALL)
    elif page == "docs/models":
        source[0] = re.sub(r"\]\((\.\./models/\w+/)\)", lambda found: f"]({_card(found.group(1))})", source[0])


def _card(folder: str) -> str:
    (card,) = (ROOT / "docs" / folder).glob("*/card.md")
    return folder + card.relative_to(ROOT / "docs" / folder).as_posix()


def _parts(pages: set[str]) -> dict[str, list[str]]:
    parts = {
        part: [f"/{name.removeprefix('../')}" if name.startswith("../") else f"/docs/{name}" for name in names]
        for part, names in PARTS.items()
    }
    named = {name for names in parts.values() for name in names}
    parts["Use"] += sorted(f"/{page}" for page in pages if re.fullmatch(r"docs/(formats/)?[^/]+", page) and f"/{page}" not in named)
    return parts


def _menu(caption: str, pages: list[str]) -> str:
    return "\n".join(["", "", "```{toctree}", ":hidden:", *([f":caption: {caption}"] if caption else []), "", *pages, "```", ""])


def arrows(drawing: str) -> str:
    """Return a flow chart's arrows as a table; a page of the site loads no program that would draw them."""
    imports: dict[str, list[str]] = {}
    for above, below in re.findall(r"(\w+) --> (\w+)", drawing):
        imports.setdefault(above, []).append(f"`{below}`")
    return "\n".join(["| folder | imports |", "|---|---|", *(f"| `{above}` | {', '.join(below)} |" for above, below in imports.items())])
