"""Here: the picture of which room of the library depends on which, made from its imports. Not here: what may (``pyproject.toml``).

``python -m docs.architecture`` writes it into architecture.md beside this file.
"""

import re
from pathlib import Path

import grimp

PAGE = Path(__file__).with_suffix(".md")
ROOMS = (
    "ecg_ui",
    "cli",
    "actions",
    "queries",
    "offline",
    "pipeline",
    "archive",
    "learning",
    "reporting",
    "readers",
    "evaluation",
    "signals",
)
"""In the order of the layers. ``labels``, ``settings``, ``names`` and ``errors``, on which nearly all rest, are left out."""


def edges() -> list[tuple[str, str]]:
    """Find which room imports from which, without those that another edge's room leads to anyway."""
    graph = grimp.build_graph("ecg_tasks", "ecg_ui")
    found: set[tuple[str, str]] = set()
    for importer in graph.modules:
        for imported in graph.find_modules_directly_imported_by(importer):
            pair = _room(importer), _room(imported)
            if pair[0] != pair[1] and set(pair) <= set(ROOMS):
                found.add(pair)
    return sorted(pair for pair in found if not _is_by_others(pair, found))


def picture() -> str:
    """Draw the graph as Mermaid."""
    return "\n".join(["```mermaid", "flowchart TD", *(f"    {importer} --> {imported}" for importer, imported in edges()), "```"])


def page(text: str) -> str:
    """Put today's picture into the page."""
    return re.sub(
        r"(<!-- made by [^>]+ -->\n).*?(<!-- end -->)", lambda found: f"{found[1]}\n{picture()}\n\n{found[2]}", text, flags=re.DOTALL
    )


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[0] if parts[0] != "ecg_tasks" or len(parts) == 1 else parts[1]


def _is_by_others(pair: tuple[str, str], found: set[tuple[str, str]]) -> bool:
    """Return whether a longer way leads from the first to the second."""
    waiting = [imported for importer, imported in found if importer == pair[0] and imported != pair[1]]
    seen: set[str] = set()
    while waiting:
        room = waiting.pop()
        if room == pair[1]:
            return True
        if room not in seen:
            seen.add(room)
            waiting += [imported for importer, imported in found if importer == room]
    return False


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text()))
