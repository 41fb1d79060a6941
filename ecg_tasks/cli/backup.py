"""Here: ``backup``, ``restore`` and the keys of backups: the whole state of the embedded stack as one file.

Not here: how (``deploy.embedded.backup``, ``deploy.embedded.sealing``).
"""

import os
from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli.terminal import complain, say
from ecg_tasks.errors import StoreError


def backup(
    file: Annotated[
        Path, typer.Argument(help="The file to write; an existing one is replaced when the new one is complete.", dir_okay=False)
    ],
) -> None:
    """Write the bucket, the history of runs, the logs and the secrets into one file. A stack that is up is stopped meanwhile.

    Where ECG_BACKUP_RECIPIENTS names public keys of age, the file is encrypted for them.
    """
    from deploy.embedded import Stack
    from deploy.embedded.backup import back_up
    from ecg_tasks.actions import access
    from ecg_tasks.cli.forgetting import renew_list

    stack = Stack()
    if stack.is_up():  # of one that is down nothing can be logged; who may read its folder has everything in any case
        os.environ.update(stack.environment())
        try:
            access.read_by_command("backup")
        except StoreError as error:
            complain(f"the access log could not be written ({error}); the backup is made nevertheless")
        renew_list(stack)
    back_up(stack, file, say)


def restore(
    file: Annotated[Path, typer.Argument(help="What ./ecg backup wrote.", dir_okay=False, exists=True)],
    identity: Annotated[
        Path | None, typer.Option(help="The file with the secret key, if the backup is encrypted.", dir_okay=False, exists=True)
    ] = None,
    forgotten: Annotated[
        Path | None,
        typer.Option(help="List of what to forget again; default: the one beside the state folder.", dir_okay=False, exists=True),
    ] = None,
) -> None:
    """Restore the state folder from a backup; it must not be there. Everything is checked before it appears.

    Recordings that were forgotten since the backup was made are forgotten again by the next ./ecg up.
    """
    from deploy.embedded import Stack
    from deploy.embedded.backup import restore as restore_from
    from deploy.embedded.home import write_private
    from ecg_tasks.cli.forgetting import ON_RESTORE, list_of

    home = Stack().home
    listed = forgotten or list_of(home.path)
    to_forget = listed.read_text() if listed.exists() else ""
    restore_from(home, file, say, identity=identity)
    if to_forget:
        write_private(home.path / ON_RESTORE, to_forget)
        say(f"./ecg up forgets again what {listed} names, before it says that everything is healthy")


def backup_key(
    file: Annotated[Path, typer.Argument(help="The file to write the secret key into; it must not be there.", dir_okay=False)],
) -> None:
    """Make a key for encrypted backups: the secret one into FILE, the public one on the terminal.

    Keep FILE away from this machine, and twice: without it no backup that is encrypted for it can be read, by anybody.
    """
    from deploy.embedded.sealing import make_key

    public = make_key(file)
    say(f"the secret key is in {file}; move it to another machine, and keep a second copy: without it no backup can be read")
    typer.echo(f"ECG_BACKUP_RECIPIENTS={public}")
