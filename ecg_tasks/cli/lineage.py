"""Here: ``lineage``: a tree from a thing back to the dropped bytes. Not here: following and checking the links (``queries.lineage``)."""

import json
from collections import Counter
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.stack import open_bucket
from ecg_tasks.cli.terminal import complain, console

if TYPE_CHECKING:
    from ecg_tasks.queries.lineage.links import Link

_COLOURS = {"checked": "green", "recorded": "dim", "absent": "yellow", "broken": "bold red"}
_ALIKE_SHOWN = 12


def lineage(
    name: Annotated[str, typer.Argument(help="A record's id, a run's id, a model's version, or the SHA-256 of a dropped file.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every link.")] = False,
) -> None:
    """Show where a thing comes from, back to dropped bytes, code and training, each digest recomputed. Exits with 1 if one is broken."""
    from ecg_tasks.actions import access
    from ecg_tasks.queries.lineage import tracing

    found = tracing.trace(open_bucket(), name)
    access.read_by_command("lineage", **{"record" if found.what == "record" else "thing": found.name})
    if as_json:
        print(json.dumps(asdict(found), indent=1))  # noqa: T201 - for a program
    else:
        _print(found)
    broken = [link for link in found.all() if link.state == "broken"]
    for link in broken:
        complain(f"broken: {link.what} {link.name}: {link.sentence}")
    raise typer.Exit(1 if broken else 0)


def _print(link: "Link", *, first: str = "", rest: str = "") -> None:
    """Print a link and what is beneath it: of many things that are alike the first and the broken ones."""
    line, metadata = _words(link)
    console().print(f"{first}{line}")
    chosen: list[Link | str] = []
    seen: Counter[str] = Counter()
    for one in link.beneath:
        seen[one.what] += 1
        if seen[one.what] <= _ALIKE_SHOWN or one.state == "broken":
            chosen.append(one)
    for what, n in seen.items():
        if left_out := n - sum(not isinstance(one, str) and one.what == what for one in chosen):
            chosen.append(f"[dim]and {left_out:,} more {what}, none of them broken (--json lists them)[/]")
    if metadata:
        console().print(f"{rest}{'│   ' if chosen else '    '}[dim]{metadata}[/]")
    for place, beneath in enumerate(chosen, start=1):
        branch, below = ("└── ", "    ") if place == len(chosen) else ("├── ", "│   ")
        if isinstance(beneath, str):
            console().print(f"{rest}{branch}{beneath}")
        else:
            _print(beneath, first=rest + branch, rest=rest + below)


def _words(link: "Link") -> tuple[str, str]:
    """Return what stands in the first line, and in the second."""
    from rich.markup import escape

    sentence = f": {link.sentence}" if link.sentence else ""
    line = f"[bold]{escape(link.what)}[/] {escape(link.name)}  [{_COLOURS[link.state]}]{link.state}{escape(sentence)}[/]"
    return line, "" if link.what == "code" else escape("; ".join(f"{name}: {value}" for name, value in link.metadata.items()))
