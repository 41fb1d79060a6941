"""The README speaks of what is there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()


def test_it_is_short():
    """Whoever comes first reads it to its end."""
    assert len(README.splitlines()) <= 120


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\./ecg ([a-z]+)", README + COMMANDS))))
def test_commands_exist(command):
    """Every command that the README and the page of commands show is one of the launcher's."""
    from typer.main import get_command

    from ecg_tasks.cli.__main__ import app

    assert command in get_command(app).commands
