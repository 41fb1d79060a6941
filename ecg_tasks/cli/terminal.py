"""Here: how the commands speak: words, warnings, progress. Not here: what they say."""

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console


@cache
def console() -> "Console":
    """Return where results go; addresses are never broken over lines."""
    from rich.console import Console

    return Console(highlight=False, soft_wrap=True, emoji=False)  # a digest may have ":cd:" in it


def say(sentence: str) -> None:
    """Tell what is being done."""
    from rich.markup import escape

    console().print(f"[dim]·[/dim] {escape(sentence)}")


def complain(sentence: str) -> None:
    """Tell on stderr what went wrong."""
    from rich.console import Console
    from rich.markup import escape

    Console(stderr=True, highlight=False, soft_wrap=True, emoji=False).print(f"[red]ecg:[/red] {escape(sentence)}")
