"""Here: numbers, tables and nested values as Markdown. Not here: what a card says (``card``)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeGuard


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Return lines of a table, an empty one behind; a cell cannot break it."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"
    yield ""


def generic(values: Mapping[str, Any], *, level: int) -> Iterator[str]:
    """Return single values in one table, figures with intervals in another, and each object or list of objects below its own heading."""
    figures = {name: value for name, value in values.items() if is_figure(value)}
    objects = {name: value for name, value in values.items() if name not in figures and (isinstance(value, Mapping) or _is_course(value))}
    singles = [(words(name), _value(value)) for name, value in values.items() if name not in figures and name not in objects]
    if singles:
        yield from table(("", "value"), singles)
    if figures:
        rows = [(words(name), number(f["value"]), f"{number(f['low'])} to {number(f['high'])}") for name, f in figures.items()]
        yield from table(("figure", "value", "95 % interval"), rows)
    for name, value in objects.items():
        yield from (f"{'#' * level} {words(name)}", "")
        if isinstance(value, Mapping):
            yield from generic(value, level=min(level + 1, 6))
        else:
            yield from table(tuple(map(words, value[0])), [tuple(map(_value, row.values())) for row in value])


def is_figure(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Return whether it is a figure with its interval."""
    return isinstance(value, Mapping) and {"value", "low", "high"} <= value.keys()


def figure(value: Mapping[str, Any]) -> str:
    """Return a figure with its interval in one cell.

    >>> figure({"value": 0.91, "low": 0.85, "high": None})
    '0.910 (0.850 to –)'
    """
    return f"{_three(value['value'])} ({_three(value['low'])} to {_three(value['high'])})" if value["value"] is not None else "–"


def literal(text: str) -> str:
    r"""Return text of somebody else so that Markdown takes all of it for text.

    >>> print(literal("a *b* <e>"))
    a \*b\* \<e\>
    """
    return "".join(f"\\{one}" if one in _MARKUP else one for one in text)


_MARKUP = frozenset("\\`*_[]<>|#~&!")


def number(value: object) -> str:
    """Return four significant digits; a figure that could not be computed is a dash."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def share(value: float) -> str:
    """Return a share as percent.

    >>> share(0.442)
    '44 %'
    """
    return f"{value:.0%}".replace("%", " %")


def words(name: str) -> str:
    """Return a field's name for people."""
    return {"n_members": "ensemble_size"}.get(name, name).replace("_", " ")


def _three(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _is_course(value: object) -> bool:
    """Return whether it is a list of objects that have the same fields, as the epochs of a training have."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(row, Mapping) and row.keys() == value[0].keys() for row in value)
    )


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return number(value) if isinstance(value, float) or value is None else str(value)
