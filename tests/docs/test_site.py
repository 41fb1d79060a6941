"""The documentation as a site: every page is in it, every link leads somewhere, and a reader's browser fetches nothing from elsewhere."""

import re
import subprocess
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from docs import cli
from tests.untraced import untraced

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
STRICTLY = ["-W", "--keep-going", "-q", "-c", "docs"]
FETCHED = {"img": "src", "script": "src", "link": "href", "source": "src", "iframe": "src", "object": "data"}
"""Element to its attribute with the address of what a browser fetches to show the page."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, built as before each commit: a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", *STRICTLY, "-d", folder / "trees", ".", folder / "html"]
    done = subprocess.run(command, cwd=ROOT, env=untraced(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "html"


class Elements(HTMLParser):
    """Tags and attributes of a page, in a fifth of the time that a tree of it takes."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Note it; ``<a/>`` comes here as well."""
        self.found.append((tag, dict(attrs)))


@cache
def elements(page: Path) -> list[tuple[str, dict]]:
    """All elements of a page: tag and attributes."""
    return Elements(page.read_text()).found


@cache
def anchors(page: Path) -> set[str]:
    """What a link may lead to on a page."""
    return {attributes["id"] for _, attributes in elements(page) if "id" in attributes}


def test_every_page_is_in_it(site):
    """Each Markdown file for readers, and the first page that a browser opens leads to the README."""
    listed = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    assert {path.removesuffix(".md") for path in listed} <= {
        page.relative_to(site).as_posix().removesuffix(".html") for page in site.rglob("*.html")
    }
    assert 'href="README.html"' in (site / "index.html").read_text()


def test_links_lead_somewhere(site):
    """Each link to a page, a picture, a file or a heading of the site, of every page."""
    broken = []
    for page in site.rglob("*.html"):
        for _, attributes in elements(page):
            for name in ("href", "src"):
                target = attributes.get(name)
                if not target or re.match(r"[a-z]+:", target):
                    continue
                path, _, anchor = unquote(target).partition("#")
                there = (page.parent / path.partition("?")[0]).resolve() if path else page
                if not there.is_file() or (anchor and anchor not in anchors(there)):
                    broken.append((page.relative_to(site).as_posix(), target))
    assert broken == []


def test_a_browser_fetches_nothing_from_elsewhere(site):
    """Pages, style sheets and scripts name no other server for anything that is loaded with them."""
    for page in site.rglob("*.html"):
        assert "html" in {tag for tag, _ in elements(page)}
        fetched = [attributes.get(FETCHED[tag]) for tag, attributes in elements(page) if tag in FETCHED]
        assert [address for address in filter(None, fetched) if re.match(r"(https?:)?//", address)] == [], page
    for sheet in site.rglob("*.css"):
        assert not re.search(r"url\(\s*['\"]?(https?:)?//|@import\s+['\"]?(https?:)?//", sheet.read_text()), sheet


def test_the_reference_is_what_typer_writes():
    """``python -m docs.cli`` writes it anew."""
    assert cli.PAGE.read_text() == cli.reference()


def test_the_hooks_are_local_and_are_what_ci_runs():
    """No hook is fetched from anywhere; CI runs all of them but the site's, whose command is that of these tests."""
    import yaml

    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert repository["repo"] == "local"
    assert [hook["id"] for hook in repository["hooks"]] == ["lint", "format", "types", "layers", "site"]
    assert all(hook["language"] == "unsupported" and hook["entry"].startswith(".venv-dev/bin/") for hook in repository["hooks"])
    assert "SKIP=site .venv-dev/bin/pre-commit run --all-files" in (ROOT / ".ci" / "run").read_text()
    (site,) = [hook["entry"].split() for hook in repository["hooks"] if hook["id"] == "site"]
    assert site[1:] == [*STRICTLY, ".", "build/site"]
