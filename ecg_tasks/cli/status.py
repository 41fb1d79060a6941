"""Here: what ``./ecg status`` shows, and a program for that alone: ``python -m ecg_tasks.cli.status``. Not here: its help (``stack``).

``./ecg`` starts that program: to import all commands takes longer than all questions of a status together, and ten times so long beside ten
others.
"""

import json
import sys
import threading
from dataclasses import asdict
from typing import TYPE_CHECKING

from ecg_tasks.cli.terminal import complain, console, import_what_prints, table_of
from ecg_tasks.errors import EcgError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from deploy.embedded.stack import Status

_COLOURS = {"running": "green", "starting": "yellow", "stopped": "dim"}


def show(*, as_json: bool) -> bool:
    """Ask all parts of the stack and print what they answer; returns whether it is healthy."""
    from deploy.embedded.bucket_look import BucketLook
    from deploy.embedded.home import Home

    with BucketLook(Home().path) as look:
        from deploy.embedded import Stack  # while that begins
        from deploy.embedded.health import left_s

        if not as_json:
            threading.Thread(target=import_what_prints, daemon=True).start()  # while the parts are asked
        found = Stack().status(most_s=left_s(), look=look)
        stands_in = list(look.stand_ins)
        if as_json:
            print(json.dumps(asdict(found), indent=2))  # noqa: T201 - for a program, without colours or line breaks
        else:
            _print(found, stands_in)
    return found.healthy


def _print(found: "Status", stands_in: "Iterable[str]") -> None:
    from rich.markup import escape

    from ecg_tasks import sandbox

    table = table_of("component", "state", "what it is, and what to do")
    for component, state in found.components.items():
        table.add_row(component, f"[{_COLOURS.get(state, 'red')}]{state}[/]", escape(found.advice.get(component, "")))
    console().print(table)
    if found.ui:
        console().print(f"\nweb interface  {found.ui}  (login {found.login}; its password: ./ecg open, in a terminal)")
        console().print(f"bucket         {found.bucket}  at {found.endpoint}")
    if missing := sandbox.possible().missing:
        console().print(f"[yellow]this kernel has no {missing}: files are read behind fewer walls (docs/privacy.md)[/]")
    for sentence in stands_in:
        console().print(f"[yellow]{escape(sentence)}[/]")
    console().print(
        "[green]healthy[/]" if found.healthy else "[red]not healthy[/]" if found.ui else "[red]not healthy[/]; start it with: ./ecg up"
    )


def main() -> None:
    """Show it; the only argument may be ``--json``. Ends with 0 when the stack is healthy, else with 1."""
    try:
        healthy = show(as_json="--json" in sys.argv[1:])
    except EcgError as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(0 if healthy else 1)


if __name__ == "__main__":
    main()
