"""What names of files say, and where it stands."""

import ast
import re
from pathlib import Path

import ecg_tasks

LIBRARY = Path(ecg_tasks.__file__).parent
HOME_OF_SUFFIXES = {"readers/file_names.py", "signals/sample_files.py", "signals/sample_drop.py"}
"""The latter two write files."""
SUFFIX = re.compile(r"\.(hea|dat|xyz|mat)|labels\.csv")


def test_suffixes_have_one_home():
    """Outside it no module of the library compares a name with a suffix, or makes one: so a format's name changes in one place."""
    found = []
    for path in LIBRARY.rglob("*.py"):
        if path.relative_to(LIBRARY).as_posix() not in HOME_OF_SUFFIXES:
            texts = [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Constant)]
            found += [f"{path.name}:{node.lineno}" for node in texts if isinstance(node.value, str) and SUFFIX.fullmatch(node.value)]
    assert found == []
