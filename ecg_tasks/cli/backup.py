"""Here: ``backup`` and ``restore``: the whole state of the embedded stack as one file. Not here: how (``deploy.embedded.backup``)."""

from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli.terminal import say


def backup(
    file: Annotated[
        Path, typer.Argument(help="The file to write; one that is there is replaced when the new one is whole.", dir_okay=False)
    ],
) -> None:
    """Write the bucket, the history of runs, the logs and the secrets into one file. A stack that is up is stopped meanwhile."""
    from deploy.embedded import Stack
    from deploy.embedded.backup import back_up

    back_up(Stack(), file, say)


def restore(
    file: Annotated[Path, typer.Argument(help="What ./ecg backup wrote.", dir_okay=False, exists=True)],
    forgotten: Annotated[
        Path | None,
        typer.Option(help="What to forget of it; default: the list beside the state folder.", dir_okay=False, exists=True),
    ] = None,
) -> None:
    """Restore the state folder from a backup; it must not be there. Everything is checked before it appears.

    Recordings that were forgotten since the backup was made are forgotten again by the next ./ecg up.
    """
    from deploy.embedded import Stack
    from deploy.embedded.backup import restore as restore_from
    from ecg_tasks.cli.forgetting import ON_RESTORE, list_of

    home = Stack().home
    listed = forgotten or list_of(home.path)
    to_forget = listed.read_text() if listed.exists() else ""
    restore_from(home, file, say)
    if to_forget:
        (home.path / ON_RESTORE).write_text(to_forget)
        say(f"./ecg up forgets again what {listed} names, before it says that everything is healthy")
