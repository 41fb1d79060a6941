"""What import-linter cannot see: names that stand once, queries that only read, pages that only hand the bucket on."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.names import DagId, RecipeName
from ecg_tasks.signals.recipes import RECIPES

ROOT = Path(__file__).parents[1]
PRODUCT = ("ecg_tasks", "ecg_ui", "deploy", "dags", "plugins")
PREFIXES = tuple(value for name, value in vars(keys).items() if name.isupper() and isinstance(value, str) and value.endswith("/"))
HOMES = {"ecg_tasks/names.py", "ecg_tasks/archive/keys.py"}
OTHER_THINGS = {
    ("ecg_tasks/signals/recipes.py", "notebook"): "the name of a network",
    ("ecg_tasks/reporting/pages.py", "records/"): "a folder within a report",
    ("deploy/embedded/backup.py", "logs/tasks"): "a folder of the state folder",
    ("ecg_tasks/learning/card.py", "datasets/"): "a sentence of a card, which is read outside any bucket",
}
CHANGES = {"put", "put_new", "put_many", "copy", "earlier", "delete", "delete_many", "create_bucket", "replace", "refuses_overwrites"}
READS = {
    "connect",
    "get",
    "get_many",
    "heads",
    "sha256",
    "stream",
    "spool",
    "info",
    "exists",
    "list_objects",
    "list_keys",
    "list_folders",
    "versioning",
}
"""All that a bucket can be asked."""
WRITERS = CHANGES | {"write", "write_manifest", "end_run", "append"}


def files(*folders: str) -> Iterator[tuple[str, ast.Module]]:
    """Path and content of every Python file below these folders."""
    for path in sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def texts(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and content of every string that is no docstring."""
    docstrings = {id(node.value) for node in ast.walk(module) if isinstance(node, ast.Expr)}
    for node in ast.walk(module):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            yield node.lineno, node.value


def test_names_and_prefixes_stand_once():
    """No string outside their homes is a DAG's id, a recipe's name, or begins with a prefix of the bucket."""
    names = {*DagId, *RecipeName}
    found = [
        (path, line, text)
        for path, module in files(*PRODUCT)
        if path not in HOMES
        for line, text in texts(module)
        if (text in names or (text.startswith(PREFIXES) and " " not in text)) and (path, text) not in OTHER_THINGS
    ]
    assert found == []


def test_every_recipe_has_a_name_and_every_name_a_recipe():
    """In the same order: the first recipe that takes a recording decides on it."""
    assert list(RECIPES) == [name.value for name in RecipeName]


@pytest.mark.parametrize("path", ["ecg_tasks/cli/single.py", "ecg_tasks/cli/evaluate.py", "ecg_tasks/cli/models.py"])
def test_help_that_lists_recipes_lists_all(path):
    """A command's help is read before any package is installed, so it cannot be made from the list."""
    told = [text for _, text in texts(ast.parse((ROOT / path).read_text())) if RecipeName.TWELVE_LEAD in text]
    assert told
    assert all(name in text for text in told for name in RecipeName)


def test_queries_write_nothing():
    """No module of ``queries`` calls what writes, and none imports it."""
    found = []
    for path, module in files("ecg_tasks/queries"):
        for node in ast.walk(module):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("ecg_tasks.archive"):
                found += [(path, name.name) for name in node.names if name.name in WRITERS]
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Name):
                called = (node.func.value.id, node.func.attr)
                found += [(path, *called)] if called[1] in WRITERS and called[0] in {"store", "audit", "registry", "verdicts"} else []
    assert found == []
    assert {name for name in vars(ObjectStore) if not name.startswith("_")} - READS == CHANGES


def test_pages_and_commands_hand_the_bucket_on():
    """Nothing of the bucket is called by them: what it is asked stands in ``queries``."""
    found = [
        (path, node.lineno, node.attr)
        for path, module in files("ecg_ui", "ecg_tasks/cli")
        for node in ast.walk(module)
        if isinstance(node, ast.Attribute)
        and node.attr in {name for name in vars(ObjectStore) if not name.startswith("_")}
        and ast.unparse(node.value) in {"store", "open_store()", "open_bucket()"}
    ]
    assert found == []
