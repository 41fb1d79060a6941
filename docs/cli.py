"""Here: the reference of the commands, as typer writes it. Not here: the commands.

``python -m docs.cli`` writes it, as cli.md beside this file. ``./ecg`` shows it while no package is installed.
"""

from pathlib import Path
from typing import Any

from typer.cli import get_docs_for_click
from typer.main import get_command

from ecg_tasks.cli.__main__ import app

PAGE = Path(__file__).with_suffix(".md")
_HEAD = """\
# Reference of the commands

Every command of `./ecg` with its arguments. [Commands and DAGs](commands.md) shows the usual ones at work; `./ecg COMMAND --help` says
the same as this page, which `python -m docs.cli` writes.
"""


def reference() -> str:
    """Return the page: every command's purpose, usage, arguments and options as Markdown, a heading of the second rank each."""
    group: Any = get_command(app)  # typer's own kinds of a command have no public names
    context = group.make_context("ecg", [], resilient_parsing=True)
    texts = []
    for name, command in group.commands.items():
        own = type(context)(command, info_name=f"./ecg {name}", parent=context)
        texts.append(get_docs_for_click(obj=command, ctx=own, name=f"./ecg {name}", indent=1).strip() + "\n")
    return "\n".join([_HEAD, *texts])


if __name__ == "__main__":
    PAGE.write_text(reference())
