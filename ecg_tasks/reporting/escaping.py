"""Here: making text that came from a file harmless in HTML, SVG and spreadsheets. Not here: deciding what is shown."""

import re
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined
from markupsafe import Markup, escape

from ecg_tasks.counts import number_of

_NOT_IN_HTML = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠]")  # a spreadsheet runs a cell that starts so, also after blanks, also full-width


def printable(text: str) -> str:
    r"""Return the text with U+FFFD for whatever HTML forbids (control characters, lone surrogates, noncharacters).

    >>> printable("a\x00b") == "a\ufffdb"
    True
    """
    return text if text.isprintable() else _NOT_IN_HTML.sub("\ufffd", text)


def markup(text: str) -> Markup:
    """Return text from a file as HTML or SVG content.

    >>> print(markup("<script>"))
    &lt;script&gt;
    """
    return escape(printable(text))


def environment(loader: BaseLoader, **shared: Any) -> Environment:
    """Return what makes pages of templates, in which nothing of a file can do harm; ``shared`` and `number_of` are known to all."""
    made = Environment(
        loader=loader,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value,
    )
    made.globals.update(shared, number_of=number_of)
    return made


def cell(text: str) -> str:
    """Return text from a file as a CSV cell: printable, and with an apostrophe in front where a spreadsheet would run it as a formula.

    >>> cell("=1+1"), cell(" @x"), cell("a-b")
    ("'=1+1", "' @x", 'a-b')

    References
    ----------
    OWASP, "CSV Injection".
    """
    return f"'{printable(text)}" if _FORMULA.match(text) else printable(text)


def uncell(written: str) -> str:
    """Return the text of a CSV cell that ``cell`` wrote, without its apostrophe.

    >>> uncell("'=1+1"), uncell("'s"), uncell("a-b")
    ('=1+1', "'s", 'a-b')
    """
    return written[1:] if written.startswith("'") and _FORMULA.match(written[1:]) else written
