"""Here: how the commands speak: words, warnings, progress, and JSON for a program. Not here: what they say."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

Progressed = Callable[[int, int], None]
"""Called with how many are done, and of how many."""

LINE_S = 10.0
"""Seconds between two lines of progress in a log."""
_WIDE = 100_000
"""Columns of what is no terminal: more than any table needs."""
_MINUTE_S, _HOUR_S = 60, 3600
_SLOW = 0.5
"""Fewer a second are said by the minute."""
_ORDERS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters by which a terminal is told to do something: from a title to what its clipboard holds."""
_for_a_program: list[bool] = []


@cache
def console_of(*, stderr: bool) -> "Console":
    """Make the console of stdout or stderr, once. What a file brings, such as its name, gives a terminal no orders."""
    from rich.console import Console

    class WithoutOrders(Console):
        def render_str(self, text: str, **how: Any) -> "Text":
            return super().render_str(_ORDERS.sub("\ufffd", text), **how)

    made = WithoutOrders(stderr=stderr, highlight=False, soft_wrap=True, emoji=False)  # a digest may have ":cd:" in it
    if not made.is_terminal:  # a pipe, a file or a log has no width, and rich would take it for 80 columns
        made.width = _WIDE
    return made


def console() -> "Console":
    """Return where results go; addresses are never broken over lines. While stdout is for JSON, it is stderr."""
    return console_of(stderr=bool(_for_a_program))


@contextmanager
def for_a_program(asked: bool) -> Iterator[Callable[[object], None]]:  # noqa: FBT001 - the option --json
    """While a program asked for JSON, keep stdout for that: all else is said on stderr. Yields what prints the one document."""
    if asked:
        _for_a_program.append(True)
    try:
        yield _print_json
    finally:
        if asked:
            _for_a_program.pop()


def _print_json(document: object) -> None:
    print(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False))  # noqa: T201 - for a program


def import_what_prints() -> None:
    """Import all that `console` and `table_of` need: for who has to wait meanwhile."""
    import rich.console
    import rich.markup
    import rich.table  # noqa: F401


def table_of(*heads: str) -> "Table":
    """Make a table for `console`, of columns with these heads. In a narrow terminal its cells go on in the next line, and nothing is cut.

    Cells are rich's markup: what a person or a file has named is escaped.
    """
    from rich.table import Table

    table = Table(box=None, header_style="bold")
    for head in heads:
        table.add_column(head, overflow="fold")
    return table


def say(sentence: str) -> None:
    """Tell what is being done."""
    from rich.markup import escape

    console().print(f"[dim]·[/dim] {escape(sentence)}")


def complain(sentence: str) -> None:
    """Tell on stderr what went wrong."""
    from rich.markup import escape

    console_of(stderr=True).print(f"[red]ecg:[/red] {escape(sentence)}")


@contextmanager
def progress(what: str, *, unit: str = "files", shown: bool = True) -> Iterator[Progressed]:
    """Show on stderr how far a work is, its rate and the time left: a bar in a terminal, else a line every ten seconds.

    Parameters
    ----------
    what : stands in front
    shown : False where the work is too short to be worth it
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    out = console_of(stderr=True)
    if not shown:
        yield lambda _done, _total: None
        return
    if not out.is_terminal:
        yield _lines(what, unit)
        return
    rate = TextColumn("{task.fields[rate]}")
    with Progress(TextColumn(what), BarColumn(), MofNCompleteColumn(), rate, TimeRemainingColumn(), console=out, transient=True) as bars:
        bar = bars.add_task("", total=None, rate="")
        began = time.monotonic()

        def update(done: int, total: int) -> None:
            taken = time.monotonic() - began
            bars.update(bar, completed=done, total=total or None, rate=f"{done / taken:,.1f}/s" if done and taken > 0 else "")

        yield update


def _lines(what: str, unit: str) -> Progressed:
    """Return what writes a line now and then, into a log."""
    began = told = time.monotonic()

    def update(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if done >= total or not done or now - told < LINE_S:  # the end has a sentence of its own
            return
        told = now
        console_of(stderr=True).print(f"{what}: {done:,} of {total:,} {unit}, {pace(done, total, now - began)}", markup=False)

    return update


def pace(done: int, total: int, taken_s: float) -> str:
    """Return the rate of a work and the time left, as its mean so far says.

    >>> pace(40, 1000, 20.0), pace(2, 5, 120.0)
    ('2.0 a second, 8 min 0 s left', '1.0 a minute, 3 min 0 s left')
    """
    rate = done / max(taken_s, 1e-9)
    said = f"{rate:,.1f} a second" if rate >= _SLOW else f"{rate * _MINUTE_S:,.1f} a minute"
    return f"{said}, {in_words((total - done) / rate)} left"


def in_words(seconds: float) -> str:
    """Return a span of time as a person reads it.

    >>> in_words(8.2), in_words(75), in_words(8000)
    ('9 s', '1 min 15 s', '2 h 13 min')
    """
    whole = -int(-seconds // 1)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return f"{whole // _MINUTE_S} min {whole % _MINUTE_S} s"
    return f"{whole // _HOUR_S} h {whole % _HOUR_S // _MINUTE_S} min"
