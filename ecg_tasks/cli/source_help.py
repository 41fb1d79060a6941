"""Here: what ``./ecg`` says of itself before any package is installed, read from the source of the commands.

Not here: the help of an installed ``./ecg``, which typer writes. This file runs alone, under any Python since 3.9, with the standard
library and nothing else.
"""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_LOCK = _HERE.parents[1] / "locks" / "dev.txt"
_WIDTH = 100


def version() -> str:
    """Return the project's version, from the library's first file."""
    found = re.search(r'^__version__ = "([^"]+)"$', (_HERE.parent / "__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    return found.group(1) if found else "unknown"


def commands() -> dict[str, tuple[str, ast.FunctionDef]]:
    """Return the module and the function behind each command, by the command's name, in the order of the help."""
    found = {}
    for call in ast.walk(_parsed("__main__")):
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Call) and ast.unparse(call.func.func) == "app.command"):
            continue
        (target,) = call.args
        if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            name = ast.literal_eval(call.func.args[0]) if call.func.args else target.attr
            found[name] = target.value.id, _function(target.value.id, target.attr)
    return found


def arguments(module: str, function: ast.FunctionDef) -> dict[str, str]:
    """Return the sentence of each argument and option of a command, by how it is written on the command line."""
    assigned = [node for node in _parsed(module).body if isinstance(node, ast.Assign)]
    shared = {ast.unparse(node.targets[0]): node.value for node in assigned}
    found = {}
    for argument in (*function.args.args, *function.args.kwonlyargs):
        annotation = argument.annotation or ast.Constant(None)
        for call in ast.walk(shared.get(ast.unparse(annotation), annotation)):
            if isinstance(call, ast.Call) and ast.unparse(call.func) in ("typer.Argument", "typer.Option"):
                names = [str(one.value) for one in call.args if isinstance(one, ast.Constant)]
                help_text = next((_text(keyword.value) for keyword in call.keywords if keyword.arg == "help"), "")
                plain = argument.arg.strip("_").replace("_", "-")
                written = plain.upper() if ast.unparse(call.func) == "typer.Argument" else f"--{plain}"
                found[", ".join(names) or written] = help_text
    return found


def overview() -> str:
    """Return the list of all commands, a line each."""
    lines = [f"ecg {version()}: ECG recordings in, spectrograms, models and reports out. Research software, not a medical device.", ""]
    lines += ["Usage: ./ecg COMMAND [ARGUMENTS]", "", "Nothing is installed yet; the first command that works sets up what it needs.", ""]
    for name, (_module, function) in commands().items():
        first = re.split(r"(?<=\.)\s", ast.get_docstring(function) or "")[0]  # the first sentence
        lines.append(_entry(name, first))
    return "\n".join([*lines, "", "./ecg COMMAND --help tells more of one."])


def of_command(name: str) -> str:
    """Return what one command does, with its arguments."""
    module, function = commands()[name]
    lines = [f"Usage: ./ecg {name} [ARGUMENTS]", "", textwrap.fill(ast.get_docstring(function) or "", _WIDTH)]
    described = arguments(module, function)
    if described:
        lines += ["", *(_entry(written, sentence, indent=28) for written, sentence in described.items())]
    if name in ("test", "bench"):
        lines += ["", f"What it needs is not installed: ./ecg setup --dev installs it. Then ./ecg {name} --help lists every argument."]
    return "\n".join(lines)


def of_version(name: str | None) -> str:
    """Return the version of the project; of pytest where ``test`` is asked."""
    if name != "test":
        return f"ecg {version()}"
    found = re.search(r"^pytest==(\S+)", _LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    return f"pytest {found.group(1) if found else 'unknown'} (not installed: ./ecg setup --dev installs it)"


def main(asked: list[str]) -> int:
    """Print what was asked for; returns the exit status."""
    name = asked[0] if asked and not asked[0].startswith("-") else None
    if name is not None and name not in commands():
        print(f"ecg: there is no command {name!r}; ./ecg --help lists them.", file=sys.stderr)  # noqa: T201 - its whole purpose
        return 2
    wants_version = "--version" in asked and not {"-h", "--help"} & set(asked)
    print(of_version(name) if wants_version else of_command(name) if name else overview())  # noqa: T201
    return 0


def _parsed(module: str) -> ast.Module:
    return ast.parse((_HERE / f"{module}.py").read_text(encoding="utf-8"))


def _function(module: str, name: str) -> ast.FunctionDef:
    return next(node for node in _parsed(module).body if isinstance(node, ast.FunctionDef) and node.name == name)


def _text(node: ast.expr) -> str:
    return str(node.value) if isinstance(node, ast.Constant) else ast.unparse(node).strip("f'\"")


def _entry(name: str, sentence: str, *, indent: int = 16) -> str:
    head = f"  {name}".ljust(indent)
    return textwrap.fill(sentence, _WIDTH, initial_indent=head if len(head) == indent else f"{head}  ", subsequent_indent=" " * indent)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
