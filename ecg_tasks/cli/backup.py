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
) -> None:
    """Restore the state folder from a backup; it must not be there. Everything is checked before it appears."""
    from deploy.embedded import Stack
    from deploy.embedded.backup import restore as restore_from

    restore_from(Stack().home, file, say)
