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


def test_a_file_gives_the_terminal_no_orders(monkeypatch, capsys):
    """A name, or a header that an error repeats, could set the clipboard or hide a line; colours of our own stay."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(terminal, "console_of", terminal.console_of.__wrapped__)
    name = "a\x1b]52;c;cm0=\x07\x9b2K.csv"
    table = terminal.table_of("file")
    table.add_row(name)
    terminal.say(name)
    terminal.complain(name)
    terminal.console().print(table)
    terminal.console().print(name, markup=False)
    told = capsys.readouterr()
    for text, times in ((told.out, 3), (told.err, 1)):
        assert text.count("a\ufffd]52;c;cm0=\ufffd\ufffd2K.csv") == times
        assert "\x1b[" in text
        assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", re.sub(r"\x1b\[[0-9;]*m", "", text))
