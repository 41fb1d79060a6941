"""The README speaks of what is there."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def tree() -> list[str]:
    """Paths of the README's file tree."""
    block = re.search(r"## The house\n\n```\n(.*?)```", README, re.DOTALL).group(1)
    paths, parent = [], ""
    for line in block.splitlines():
        name = line.split()[0]
        inner = line.startswith("  ") and not line.startswith("   ")
        parent = parent if inner else name
        paths.append(parent + name if inner else name)
    return paths


@pytest.mark.parametrize("path", tree())
def test_every_path_of_the_tree_is_tracked(path):
    """Each line of the file tree names something that is in the repository."""
    assert subprocess.run(["git", "ls-files", path], cwd=ROOT, capture_output=True, text=True, check=True).stdout, path


def test_tree_names_every_folder_at_the_top():
    """No folder at the top, and none of the library, is left out."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    top = {f"{path.split('/')[0]}/" for path in tracked if "/" in path and not path.startswith(".")}
    library = {"/".join(path.split("/")[:2]) + "/" for path in tracked if path.startswith("ecg_tasks/") and path.count("/") > 1}
    assert top | library <= set(tree())


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(((?!http)[^)]+)\)", README))))
def test_links_lead_somewhere(target):
    """Relative links and pictures exist."""
    assert (ROOT / target).exists()


@pytest.mark.parametrize("command", sorted(set(re.findall(r"\./ecg ([a-z]+)", README))))
def test_commands_exist(command):
    """Every command that the README shows is one of the launcher's."""
    from typer.main import get_command

    from ecg_tasks.cli.__main__ import app

    assert command in get_command(app).commands
