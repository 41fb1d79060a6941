"""Here: ``completion``: what a shell needs to complete the commands. Not here: what is completed, which typer reads from the commands."""

import os
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer

VARIABLE = "_ECG_COMPLETE"
"""Set by the scripts below; typer then answers with what may follow, and runs no command."""

_BASH = """\
_ecg_completion() {
    local IFS=$'\\n'
    COMPREPLY=( $(env COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _ECG_COMPLETE=complete_bash "${1/#~\\//$HOME/}") )
}
complete -o default -F _ecg_completion ecg
"""
_ZSH = """\
_ecg_completion() {
    eval "$(env _TYPER_COMPLETE_ARGS="${words[1,$CURRENT]}" _ECG_COMPLETE=complete_zsh "${words[1]/#\\~\\//$HOME/}")"
}
compdef _ecg_completion ecg
"""
_FISH = """\
function _ecg_completion
    set -l program (string replace -r '^~/' $HOME/ -- (commandline -opc)[1])
    env _ECG_COMPLETE=complete_fish _TYPER_COMPLETE_FISH_ACTION=$argv[1] _TYPER_COMPLETE_ARGS=(commandline -cp) $program
end
complete --command ecg --no-files --arguments "(_ecg_completion get-args)" --condition "_ecg_completion is-args"
"""


class Shell(StrEnum):
    """Shells whose completion is known."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


_SCRIPTS = {Shell.BASH: _BASH, Shell.ZSH: _ZSH, Shell.FISH: _FISH}


def completion(shell: Annotated[Shell, typer.Argument(help="The shell to complete in.")]) -> None:
    """Print what makes a shell complete commands, options, DAGs and recipes, for ./ecg of any checkout.

    bash, in ~/.bashrc: eval "$(/path/to/ecg completion bash)". zsh, in ~/.zshrc behind compinit: the same with zsh.
    fish: /path/to/ecg completion fish > ~/.config/fish/completions/ecg.fish
    """
    print(_SCRIPTS[shell], end="")  # noqa: T201 - for a program


def answer_the_shell() -> None:
    """Let typer answer in the way of the shell that asks, if one does; only then its classes for that are loaded."""
    if VARIABLE in os.environ:
        from typer.completion import completion_init  # type: ignore[attr-defined]  # typer registers its classes only for its own options

        completion_init()


def one_of(names: type[StrEnum]) -> Callable[[str], list[str]]:
    """Return what completes an argument that is one of these names, and that may be another."""

    def complete(incomplete: str) -> list[str]:
        return [name.value for name in names if name.value.startswith(incomplete)]

    return complete
