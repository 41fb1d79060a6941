"""Here: a command with commands of its own that lists where none is named. Not here: what they do."""

from typing import Any

from typer.core import TyperGroup


class ListsByDefault(TyperGroup):
    """Takes ``models RECIPE`` for ``models list RECIPE``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the command's name before its argument where none is named."""
        named = args[:1] and args[0] in {*self.commands, *ctx.help_option_names}
        return super().parse_args(ctx, args if named else ["list", *args])
