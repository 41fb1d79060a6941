"""Here: ``setup``, as far as Python has a part in it. Not here: the installation, which the launcher ``ecg`` does before Python starts."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli.terminal import complain, say


def setup(
    *,
    dev: Annotated[bool, typer.Option("--dev", help="Also what ./ecg test and ./ecg bench need.")] = False,
) -> None:
    """Install the packages and do nothing else: a separate step for images and CI. Every other command does so when it has to."""
    stamps = {lock: Path(sys.prefix) / f"installed-{lock}" for lock in (("dev.txt",) if dev else ("cpu.txt", "dev.txt"))}
    there = [lock for lock, stamp in stamps.items() if stamp.exists()]
    if not there:
        complain(f"this Python ({sys.prefix}) was not set up by ./ecg, so its packages are not ./ecg setup's to install")
        raise typer.Exit(1)
    say(f"the packages of locks/{there[0]} are installed in {sys.prefix}")
