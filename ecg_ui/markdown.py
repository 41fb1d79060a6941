"""Here: Markdown to HTML as pages show it: tables and code that scroll, headings to link to. Not here: what is written (cards, docs)."""

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.common.utils import escapeHtml
from markdown_it.renderer import RendererHTML
from markdown_it.token import Token
from markdown_it.utils import EnvType, OptionsDict


def markdown() -> MarkdownIt:
    """Return what turns Markdown without HTML of its own into HTML."""
    made = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["html_block", "html_inline"])
    made.add_render_rule("table_open", _table_open)
    made.add_render_rule("table_close", _table_close)
    made.add_render_rule("fence", _code)
    made.add_render_rule("code_block", _code)
    return made


def slug(heading: str) -> str:
    """Return the name under which a heading is linked to, as GitHub and the site of the documentation make it.

    >>> slug("What is written once, and what was `overwritten`")
    'what-is-written-once-and-what-was-overwritten'
    """
    return re.sub(r"[^\w\- ]", "", heading.strip().casefold()).replace(" ", "-")


def text_of(token: Token) -> str:
    """Return the plain text of a heading."""
    return "".join(one.content for one in token.children or ())


def title_only(_renderer: RendererHTML, tokens: Sequence[Token], number: int, _options: OptionsDict, _env: EnvType) -> str:
    """Show of a picture its title."""
    return f"<em>{escapeHtml(tokens[number].content)}</em>"


def _code(_renderer: RendererHTML, tokens: Sequence[Token], number: int, _options: OptionsDict, _env: EnvType) -> str:
    """Show code; a long piece scrolls within, by keys too."""
    return f'<pre tabindex="0"><code>{escapeHtml(tokens[number].content)}</code></pre>\n'


def _table_open(_renderer: RendererHTML, tokens: Sequence[Token], number: int, _options: OptionsDict, _env: EnvType) -> str:
    """Begin a table that scrolls within where it is wider than the page."""
    nth = sum(token.type == "table_open" for token in tokens[: number + 1])
    return f'<div class="scroll" role="region" aria-label="Table {nth}" tabindex="0"><table>'


def _table_close(_renderer: RendererHTML, _tokens: Sequence[Token], _number: int, _options: OptionsDict, _env: EnvType) -> str:
    return "</table></div>"
