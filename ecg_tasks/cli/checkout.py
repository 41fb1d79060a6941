"""Here: the checkout, for the commands that work on it. Not here: the embedded stack, which finds it itself (``deploy.embedded``)."""

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
