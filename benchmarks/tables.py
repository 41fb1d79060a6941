"""Here: the figures as tables for people. Not here: the figures."""

from collections.abc import Iterable, Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Ratio


def print_rendering(console: Console, found: Mapping[str, Any]) -> None:
    """Print what a picture costs."""
    table = _table(
        "Rendering: processor time a picture, from samples to PNG, one core", "", "notebook (matplotlib)", "here", "times faster"
    )
    for case, words in (("one_frame", "notebook's picture, one frame"), ("many_frames", "notebook's picture, 40 frames")):
        figures = found["cases"][case]
        table.add_row(words, _ms(figures["matplotlib_ms"]), _ms(figures["ours_ms"]), f"{figures['times_faster']:,.0f}")
    for recipe in ("heartbeat", "twelve_lead"):
        table.add_row(f"{recipe}, with cutting and signal quality", "", _ms(found["recipes"][recipe]["ms"]), "")
    console.print(table)
    one, many = (found["cases"][case] for case in ("one_frame", "many_frames"))
    console.print(
        f"Every pixel of {one['n_compared']} + {many['n_compared']} pictures drawn both ways is equal; matplotlib {found['matplotlib']}.\n"
    )


def print_classification(console: Console, found: Mapping[str, Any]) -> None:
    """Print what a decision costs."""
    table = _table("Classification: from the bytes of a PNG to a decision, a picture", "", "network", "pictures", "time", "processor time")
    for side, words in (
        ("notebook", "notebook: one Keras predict a picture, all cores"),
        ("notebook_served", "its network and pictures, served as here, one core"),
        ("heartbeat", "here: recipe heartbeat, one core"),
    ):
        figures = found[side]
        table.add_row(words, figures["network"], f"{figures['n']:,}", _ms(figures["wall_ms"]), _ms(figures["cpu_ms"]))
    console.print(table)
    console.print(
        "The same beats in all three rows; the first two are the same weights and agree "
        f"in every compared score within {found['max_score_difference']:.1g}.\n"
    )


def print_memory(console: Console, found: Mapping[str, Any]) -> None:
    """Print the peak memory of each side, separately from what its imports hold."""
    table = _table("Peak memory of each side's process, MB", "", "after imports and loading", "peak", "for the work")
    if "rendering" in found:
        for case, words in (("one_frame", "one frame"), ("many_frames", "40 frames")):
            figures = found["rendering"]["cases"][case]
            for side, name, n in (("matplotlib", "notebook", figures["n_compared"]), ("ours", "here", figures["n_drawn"])):
                start, peak = figures[f"{side}_start_mb"], figures[f"{side}_peak_mb"]
                table.add_row(f"rendering {n:,} pictures, {words}: {name}", f"{start:.0f}", f"{peak:.0f}", f"{peak - start:.0f}")
    if "classification" in found:
        for side, name in (("notebook", "notebook"), ("notebook_served", "its network served as here"), ("heartbeat", "here")):
            figures = found["classification"][side]
            start, peak = figures["start_mb"], figures["peak_mb"]
            table.add_row(f"classifying {figures['n']:,} pictures: {name}", f"{start:.0f}", f"{peak:.0f}", f"{peak - start:.0f}")
    console.print(table)
    console.print()


def print_scaling(console: Console, found: Mapping[str, Any]) -> None:
    """Print what a record costs in a small and in a large night."""
    sizes = found["sizes"]
    columns = [f"{size['n_records']:,} records" for size in sizes]
    for unit, title in (("cpu_ms", "processor time a record, ms"), ("wall_ms", "time a record, ms"), ("peak_mb", "peak memory, MB")):
        table = _table(f"From inbox to report: {title}", "task", *columns)
        for step in sizes[0]["steps"]:
            table.add_row(step, *(f"{size['steps'][step][unit]:{'.0f' if unit == 'peak_mb' else '.4f'}}" for size in sizes))
        table.add_section()
        table.add_row(
            "largest" if unit == "peak_mb" else "all", *(f"{size[unit]:{'.0f' if unit == 'peak_mb' else '.4f'}}" for size in sizes)
        )
        console.print(table)
    fixed = found["fixed"]
    console.print(
        f"Beyond the fixed cost of a night, estimated from one of {fixed['n_records']} records: {fixed['cpu_s']:.1f} s of processor time "
        f"({fixed['wall_s']:.1f} s) in {fixed['n_tasks']} tasks; and starting their processes takes {fixed['start_cpu_s']:.1f} s "
        f"({fixed['start_wall_s']:.1f} s).\n"
        f"Store: {found['server']}. Network: {found['network']}. Files of {found['rows_per_file']:,} rows. One task at a time.\n"
    )


def print_training(console: Console, found: Mapping[str, Any]) -> None:
    """Print what training costs."""
    theirs, ours = found["notebook"], found["heartbeat"]
    table = _table(f"Learning from {found['n_windows']:,} beats, all cores", "", "time", "validation AUROC", "peak memory")
    table.add_row("notebook: its pictures, its network, 20 epochs", f"{theirs['wall_s']:,.0f} s", f"{theirs['auroc']:.3f}", _mb(theirs))
    table.add_row("here: recipe heartbeat", f"{ours['wall_s']:,.1f} s", f"{ours['auroc']:.3f}", _mb(ours))
    console.print(table)
    last = ours["epochs"][-1]
    console.print(
        f"The notebook's time is estimated from {theirs['n_drawn']:,} pictures ({theirs['drawing_ms']:.0f} ms each) and "
        f"{theirs['n_steps']:,} of {theirs['n_steps_in_all']:,} steps ({theirs['step_ms']:,.0f} ms each); its AUROC is that after these "
        f"steps, on the same {found['n_scored']:,} validation beats as ours.\n"
        f"Here: pictures {ours['rendering_s']:.1f} s, training {ours['training_s']:.1f} s; in the last of {len(ours['epochs'])} epochs "
        f"{last['windows_per_s']:,.0f} windows/s, {last['waiting']:.1%} of the time waiting for them. Starting the process and importing "
        f"took another {ours['start_s']:.1f} s.\n"
    )


def print_ratios(console: Console, ratios: Iterable[Ratio]) -> None:
    """Print every ratio with its target."""
    table = _table("Ratios", "", "value", "target", "met")
    for ratio in ratios:
        target = "–"
        if ratio.at_least is not None:
            target = f"at least {ratio.at_least:g}"
        elif ratio.at_most is not None:
            target = f"at most {ratio.at_most:g}"
        met = {True: "[green]yes[/green]", False: "[red]no[/red]", None: "–"}[ratio.met]
        table.add_row(ratio.says, f"{ratio.value:,.{0 if ratio.value >= 20 else 2}f}", target, met)
    console.print(table)


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _mb(figures: Mapping[str, Any]) -> str:
    return f"{figures['peak_mb']:,.0f} MB"


def _ms(value: float) -> str:
    return f"{value:.3f} ms" if value < 1 else f"{value:.1f} ms"
