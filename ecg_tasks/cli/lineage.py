"""Here: ``lineage``: a tree from a thing back to the dropped bytes. Not here: following and checking the links (``steps.lineage``)."""

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.stack import running_stack
from ecg_tasks.cli.terminal import complain, console

if TYPE_CHECKING:
    from rich.tree import Tree

    from ecg_tasks.steps.lineage_links import Link

_COLOURS = {"checked": "green", "told": "dim", "absent": "yellow", "broken": "bold red"}
_ALIKE_SHOWN = 12


def lineage(
    name: Annotated[str, typer.Argument(help="A record's id, a run's id, a model's version, or the SHA-256 of a dropped file.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every link.")] = False,
) -> None:
    """Tell where a thing comes from, back to dropped bytes, code and training, each digest computed anew. Exits with 1 if one is broken."""
    from ecg_tasks.steps import lineage as steps
    from ecg_tasks.steps.workspace import open_store

    os.environ.update(running_stack().environment())
    found = steps.trace(open_store(), name)
    if as_json:
        print(json.dumps(asdict(found), indent=1))  # noqa: T201 - for a program
    else:
        from rich.tree import Tree

        tree = Tree(_line(found))
        _grow(tree, found)
        console().print(tree)
    broken = [link for link in found.all() if link.state == "broken"]
    for link in broken:
        complain(f"broken: {link.what} {link.name}: {link.sentence}")
    raise typer.Exit(1 if broken else 0)


def _grow(tree: "Tree", link: "Link") -> None:
    """Hang what is beneath onto the tree; of many things that are alike the first and the broken ones."""
    seen: dict[str, int] = {}
    left_out: dict[str, int] = {}
    for one in link.beneath:
        seen[one.what] = seen.get(one.what, 0) + 1
        if seen[one.what] > _ALIKE_SHOWN and one.state != "broken":
            left_out[one.what] = left_out.get(one.what, 0) + 1
        else:
            _grow(tree.add(_line(one)), one)
    for what, n in left_out.items():
        tree.add(f"[dim]and {n:,} more {what}, none of them broken (--json lists them)[/]")


def _line(link: "Link") -> str:
    from rich.markup import escape

    told = "; ".join(f"{name}: {value}" for name, value in link.told.items())
    sentence = f": {link.sentence}" if link.sentence else ""
    line = f"[bold]{escape(link.what)}[/] {escape(link.name)}  [{_COLOURS[link.state]}]{link.state}{escape(sentence)}[/]"
    return f"{line}\n[dim]{escape(told)}[/]" if told and link.what != "code" else line
