"""The pages on how it is built speak of what is there."""

import re
import subprocess
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from docs import architecture

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for folder in ("docs", "benchmarks", "models", "research") for path in (ROOT / folder).rglob("*.md"))
PAGES += sorted(ROOT.glob("*.md"))


def tree() -> list[str]:
    """Paths of the page's file tree."""
    block = re.search(r"## The house\n\n```\n(.*?)```", architecture.PAGE.read_text(), re.DOTALL).group(1)
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


def test_the_picture_is_that_of_the_imports():
    """``python -m docs.architecture`` would change nothing."""
    text = architecture.PAGE.read_text()
    assert architecture.page(text) == text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    """Relative links and pictures exist, and so do the headings that they point at."""
    tokens = [child for token in MarkdownIt().enable("table").parse(page.read_text()) for child in token.children or ()]
    targets = [token.attrGet("href") or token.attrGet("src") for token in tokens if token.type in {"link_open", "image"}]
    for target in filter(None, targets):
        if re.match(r"[a-z]+:", str(target)):
            continue
        path, _, anchor = str(target).partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", there.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 _-]", "", heading.lower()).replace(" ", "-") for heading in headings}, target
