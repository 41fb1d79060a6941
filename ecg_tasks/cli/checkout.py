"""Here: the checkout, for the commands that work on it. Not here: the embedded stack, which finds it itself (``deploy.embedded``)."""

import subprocess
from functools import cache
from pathlib import Path

from ecg_tasks.errors import ConfigurationError

CHECKOUT = Path(__file__).parents[2]


def needed_for(command: str) -> Path:
    """Return the folder of the checkout.

    Raises
    ------
    ConfigurationError
        If the library is installed as a package, which brings neither tests nor images.
    """
    if not (CHECKOUT / "pyproject.toml").is_file():
        raise ConfigurationError(f"ecg {command} works in a checkout of the project only, and this ecg is an installed package")
    return CHECKOUT


@cache
def commit() -> str:
    """Return the commit of the checkout, with ``-dirty`` where tracked files differ from it; empty for a package, or without git."""
    if not (CHECKOUT / ".git").exists():  # a package may lie in a repository that is not ours
        return ""
    command = ["git", "--no-optional-locks", "-C", str(CHECKOUT), "describe", "--always", "--dirty", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - git, and no shell
    except (OSError, subprocess.CalledProcessError):
        return ""
