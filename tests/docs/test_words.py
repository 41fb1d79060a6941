"""Usual words: none of the odd ones comes back to pages, documentation and messages, and one class name means one thing."""

import ast
import re
import subprocess
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BETTER = {
    r"judg(?:e|es|ed|ing|ement|ements)": "evaluate, assess, decide",
    r"told|foretold": "reported, shown, said, predicted",
    r"tells? of": "reports",
    r"anew|afresh": "again",
    r"bettors?": "betting strategy",
    r"yardsticks?": "baseline",
    r"whom": "who, in a sentence of its own",
    r"whoever|whosoever": "anyone who, a user who",
    r"nobody's|somebody's": "of no one, of a person",
    r"speaks? (?:for|against)": "supports, contradicts",
    r"rests? on": "is based on, depends on",
    r"brought up|bring up": "started, imported, migrated",
    r"summing up": "the report, the summary",
    r"hopeless": "unreadable",
    r"all the same": "nevertheless; or leave it out",
    r"has been at (?:it|that)": "tampered with",
    r"is to be had": "is available",
    r"lies behind the last": "is beyond the last",
    r"as ever": "as before",
    r"(?:breaks?|broke|broken) off": "interrupted",
    r"begun again": "started again, continued",
    r"held against": "compared with",
    r"in the clear": "as it is, readable",
    r"an? [a-z]+ an? (?:day|night|record|recording|report|run|task|drop|file|row)": "one for each",
    r"[a-z]+\(s\)(?!\w)": "the right form for the number",
    r"is no (?:number|file|picture|table|json|csv|zip|plain [a-z]+)": "is not a number, is not a file",
    r"lets? in": "accepts, takes over, stores",
}
"""Expression of a word that a reader stumbles over, and what is usual."""
STYLE = ROOT / "docs" / "style.md"
MEASUREMENTS = sorted((ROOT / "docs" / "measurements").glob("*.md"))
FORMATS = sorted((ROOT / "docs" / "formats").glob("*.md"))
PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md", "research/README.md")),
    *sorted(set((ROOT / "docs").glob("*.md")) - {STYLE}),
    *MEASUREMENTS,
    *FORMATS,
]
TEMPLATES = [
    *sorted((ROOT / "ecg_ui" / "templates").glob("*.html")),
    *sorted((ROOT / "ecg_tasks" / "reporting" / "templates").glob("*.html")),
]
MODULES = sorted(path for folder in ("ecg_tasks", "ecg_ui", "dags") for path in (ROOT / folder).rglob("*.py"))


def _odd(text):
    """Odd words of a text, each with the better one."""
    return [
        f"{found[0]!r}: better {better}"
        for word, better in BETTER.items()
        for found in re.finditer(rf"\b(?:{word})(?!\w)", text, re.IGNORECASE)
    ]


def _messages(path):
    """Sentences in a module's code: texts with a blank that are no docstring and no comment of a constant."""
    tree = ast.parse(path.read_text())
    silent = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value.strip() and id(node) not in silent:
            yield node.value


@pytest.mark.parametrize("path", [*PAGES, *TEMPLATES], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_pages_use_usual_words(path):
    """A page that people read has none of the words."""
    text = re.sub(r"```.*?```|`[^`\n]*`|\{[%#{].*?[}%#]\}|<[^>]*>|\]\([^)]*\)", " ", path.read_text(), flags=re.DOTALL)
    assert _odd(text) == []


@pytest.mark.parametrize(
    "path",
    MODULES,
    ids=lambda path: path.relative_to(ROOT).as_posix(),
)
def test_messages_use_usual_words(path):
    """Nor has a message, a help text or a title."""
    assert [odd for message in _messages(path) for odd in _odd(message)] == []


def test_the_words_are_found():
    """The search sees a word in a page's sentence and in a message, and passes over code and names."""
    assert _odd("The records are Judged anew.") == ["'Judged': better evaluate, assess, decide", "'anew': better again"]
    assert _odd("the judgmental `told` and retold") == ["'told': better reported, shown, said, predicted"]


def test_the_style_page_lists_the_words():
    """The page for people and the expressions here are one list: each has the other's words, and the same better ones."""
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", STYLE.read_text(), re.MULTILINE)[1:]
    assert [better for _, better in rows] == list(BETTER.values())
    for (words, better), expression in zip(rows, BETTER, strict=True):
        for word in words.split(", "):
            assert re.fullmatch(expression, word, re.IGNORECASE), f"{word!r} is not refused: {better}"


def test_a_class_name_means_one_thing():
    """No two classes of the product share a name, private ones included."""
    where = defaultdict(set)
    files = subprocess.run(["git", "ls-files", "*.py"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for file in files:
        if not file.startswith("tests/"):
            for node in ast.walk(ast.parse((ROOT / file).read_text())):
                if isinstance(node, ast.ClassDef):
                    where[node.name].add(file)
    assert {name: sorted(found) for name, found in where.items() if len(found) > 1} == {}
