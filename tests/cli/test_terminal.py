"""Here: tables that lose nothing, whatever the width. Not here: what stands in them."""

import re

import pytest

from ecg_tasks.cli import terminal

ID = "0123456789abcdef0123456789abcdef"
ROW = (ID, "2026-11-29T20:51:08.123456+00:00", "serves since then, by the gate", "0.912 (0.901 to 0.923)")


def printed(capsys):
    """A table of one row, as it comes out."""
    table = terminal.table_of("record", "when", "standing", "AUROC")
    table.add_row(*ROW)
    terminal.console().print(table)
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", ["", "20", "80"])
def test_a_file_or_a_pipe_has_each_row_in_one_line(columns, monkeypatch, capsys):
    """Whatever the width of the window that it was started from."""
    monkeypatch.setenv("COLUMNS", columns)
    head, row = printed(capsys).splitlines()
    assert re.split(r"  +", head.strip()) == ["record", "when", "standing", "AUROC"]
    assert re.split(r"  +", row.strip()) == list(ROW)


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100])
def test_a_narrow_terminal_wraps_and_cuts_nothing(columns, monkeypatch, capsys):
    """Every column has all of its characters, one line below the other."""
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    shown = re.sub(r"\x1b\[[0-9;]*m", "", printed(capsys))
    assert "…" not in shown
    assert max(map(len, shown.splitlines())) <= columns
    assert sorted("".join(shown.split())) == sorted("".join(("record", "when", "standing", "AUROC", *ROW)).replace(" ", ""))
