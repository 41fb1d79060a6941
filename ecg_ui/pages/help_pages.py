"""Here: the documentation as pages, rendered of the files that are shipped. Not here: its words (``docs``)."""

import posixpath
import re
from functools import cache
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi import Path as InPath
from markdown_it.token import Token
from markupsafe import Markup

from ecg_ui.markdown import markdown, slug, text_of, title_only
from ecg_ui.rendering import HERE, page

router = APIRouter()

_PACKAGED = HERE.parent / "ecg_spectrograms" / "docs"
DOCS = _PACKAGED if _PACKAGED.is_dir() else HERE.parent / "docs"
"""In the installed package beside the library, in a checkout or an image at the top."""
NAME = r"^([a-z]+/)?[A-Za-z0-9][A-Za-z0-9_-]{0,99}$"
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_ELSEWHERE = ("https://", "http://")


@router.get("/help/{name:path}")
def show_help(request: Request, user: GetUserDep, name: Annotated[str, InPath(pattern=NAME)]) -> Response:
    """Show one page of the documentation; its links lead to the others."""
    file = DOCS / f"{name}.md"
    if not file.is_file():
        raise HTTPException(404)
    title, written = rendered(file, base=f"{request.scope['root_path']}/help")
    return page(request, user, "help.html", title=title, written=Markup(written), first=FIRST, name=name)  # noqa: S704 - its HTML is switched off


FIRST = (
    ("The pages", "pages"),
    ("Commands", "commands"),
    ("Files and formats", "files"),
    ("Review and drift", "review-and-drift"),
    ("Operations", "operations"),
    ("Accounts", "accounts"),
    ("Privacy", "privacy"),
    ("Glossary", "glossary"),
)
"""Titles and names of what is asked for most, for the head of each page."""


@cache
def rendered(file: Path, *, base: str) -> tuple[str, str]:
    """Return the title of a page and its HTML, with the addresses of other pages below ``base``."""
    renderer, env = markdown(), dict[str, object]()
    renderer.add_render_rule("image", title_only)
    tokens = renderer.parse(_COMMENT.sub("", file.read_text(encoding="utf-8")), env)
    title, seen = file.stem, set[str]()
    for number, token in enumerate(tokens):
        if token.type == "heading_open":
            heading = text_of(tokens[number + 1])
            title = heading if token.tag == "h1" else title
            anchor = slug(heading)
            while anchor in seen:
                anchor += "-1"
            seen.add(anchor)
            token.attrSet("id", anchor)
        if token.type == "inline":
            token.children = _with_links(token.children or [], file=file, base=base)
    return title, renderer.renderer.render(tokens, renderer.options, env)


def _with_links(children: list[Token], *, file: Path, base: str) -> list[Token]:
    """Let links lead to pages; of one to what is not shipped its words stay, and of one to another host its address too."""
    found = list[Token]()
    address, behind = "", ""
    for token in children:
        if token.type == "link_open":
            link = str(token.attrs.get("href", ""))
            address, behind = _address(link, file=file, base=base), f" ({link})" if link.startswith(_ELSEWHERE) else ""
            token.attrSet("href", address)
        if token.type not in {"link_open", "link_close"} or address:
            found.append(token)
        elif token.type == "link_close" and behind:
            found.append(Token("text", "", 0, content=behind))
    return found


def _address(link: str, *, file: Path, base: str) -> str:
    """Return the address of what a link leads to; empty where that is not shipped, or on another host."""
    if link.startswith("#"):
        return link
    path, hash_, anchor = link.partition("#")
    path += "README.md" * (path.endswith("/"))
    inside = posixpath.normpath(posixpath.join(file.parent.relative_to(DOCS).as_posix(), path))
    if inside.startswith("..") or not inside.endswith(".md") or not (DOCS / inside).is_file():
        return ""
    return f"{base}/{quote(inside.removesuffix('.md'))}{hash_}{anchor}"
