"""Here: the cost of a twelve-lead recording as tables for people. Not here: the figures."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table


def print_twelve_lead(console: Console, found: Mapping[str, Any]) -> None:
    """Print what each stage takes beside its bound, and what a user's own way takes."""
    for fs, figures in found["rates"].items():
        table = Table(title=f"Twelve leads of 10 s at {fs} Hz: processor time a recording, one core", title_justify="left")
        table.add_column("stage")
        for column in ("ms", "bound, ms", "times the bound"):
            table.add_column(column, justify="right")
        table.add_column("the bound is")
        for name, stage in figures["stages"].items():
            table.add_row(name, f"{stage['ms']:.3f}", f"{stage['bound_ms']:.4f}", f"{stage['times_bound']:.1f}", stage["bound"])
        table.add_section()
        table.add_row("all", f"{figures['ms']:.2f}", f"{figures['bound_ms']:.3f}", f"{figures['ms'] / figures['bound_ms']:.1f}", "")
        console.print(table)
        steps = ", ".join(f"{name} {ms:,.1f}" for name, ms in figures["theirs_ms"].items())
        theirs = f"{figures['theirs_all_ms']:,.0f} ms, {figures['times_faster']:,.0f} times as much: {steps}."
        console.print(
            f"The store itself took {figures['store_ms']:.3f} ms beside it, and a night {figures['fixed_ms']:.0f} ms before its first "
            f"recording. By wfdb, SciPy, matplotlib and Keras it is {theirs}\n"
        )
    console.print(f"{found['n_recordings']} recordings, {found['rounds']} nights of either size; a user's way with {found['n_theirs']}.\n")
