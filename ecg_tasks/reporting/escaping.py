"""Here: making text that came from a file harmless in HTML, SVG and spreadsheets. Not here: deciding what is shown."""

import re
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    import pandas as pd

_NOT_IN_HTML = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff"
    + "".join(f"{chr(plane * 0x10000 + 0xFFFE)}{chr(plane * 0x10000 + 0xFFFF)}" for plane in range(1, 17))
    + "]"
)
_FORMULA = r"^\s*[=+\-@＝＋－＠]"  # a spreadsheet runs a cell that starts so, also after blanks, also full-width


def printable(text: str) -> str:
    r"""Text in which whatever HTML forbids (control characters, lone surrogates, noncharacters) has become U+FFFD.

    >>> printable("a\x00b") == "a\ufffdb"
    True
    """
    return _NOT_IN_HTML.sub("\ufffd", text)


def markup(text: str) -> Markup:
    """Text from a file as HTML or SVG content.

    >>> print(markup("<script>"))
    &lt;script&gt;
    """
    return escape(printable(text))


def neutral_cells(column: "pd.Series[str]") -> "pd.Series[str]":
    """Cells that a spreadsheet would run as a formula get an apostrophe in front, as OWASP's advice on CSV injection has it.

    >>> import pandas as pd
    >>> neutral_cells(pd.Series(["=1+1", " @x", "a-b"])).tolist()
    ["'=1+1", "' @x", 'a-b']
    """
    return column.where(~column.str.contains(_FORMULA, regex=True), "'" + column)
