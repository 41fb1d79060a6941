"""Here: what a shell completes through the launcher. Not here: what typer reads from the commands."""

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def ecg(tmp_path):
    """A program ``ecg`` that starts the command line of this Python, in a folder that is not on PATH."""
    program = tmp_path / "some where" / "ecg"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(CHECKOUT))} exec {shlex.quote(sys.executable)} -P -m ecg_tasks.cli "$@"\n')
    program.chmod(0o755)
    return program


def asked(program, **variables):
    """Ask as a script of a shell does; returns the lines."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(program.parent), **variables}
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


COMPLETED = [
    ("cla", ["classify"]),
    ("import lu", ["ludb"]),
    ("run retrain", ["retrain_model"]),
    ("promote not", ["notebook"]),
    ("models list he", ["heartbeat"]),
    ("classify --pl", ["--plot"]),
]


@pytest.mark.parametrize(("typed", "expected"), COMPLETED)
def test_bash_completes(ecg, typed, expected):
    """Bash itself runs the script: commands, options, and the names that an argument takes, for a path with a tilde too."""
    words = typed.split()
    script = f"""
eval "$({shlex.quote(str(ecg))} completion bash)"
complete -p ecg
COMP_WORDS=(ecg {typed}) COMP_CWORD={len(words)}
_ecg_completion "~/ecg"
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    environment = {"PATH": os.environ["PATH"], "HOME": str(ecg.parent)}
    done = subprocess.run(["bash", "--norc", "-c", script], env=environment, capture_output=True, text=True, check=True)
    registered, *offered = done.stdout.splitlines()
    assert registered == "complete -o default -F _ecg_completion ecg"
    assert offered == expected
    assert done.stderr == ""


def test_the_other_shells_are_answered_in_their_way(ecg):
    """What their scripts ask, in the words of each; where a file may follow, they complete files."""
    zsh = asked(ecg, _ECG_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="ecg import lu")
    assert zsh == ["_arguments '*: :((\"ludb\"))'"]
    assert asked(ecg, _ECG_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="ecg put x") == ["_files"]
    fish = asked(ecg, _ECG_COMPLETE="complete_fish", _TYPER_COMPLETE_FISH_ACTION="get-args", _TYPER_COMPLETE_ARGS="ecg import lu")
    assert fish == ["ludb"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_a_script(ecg, shell):
    """It asks the program that was typed, which need not be on PATH."""
    done = subprocess.run([ecg, "completion", shell], capture_output=True, text=True, check=True)
    assert f"_ECG_COMPLETE=complete_{shell}" in done.stdout
    assert "ecg_completion" in done.stdout
