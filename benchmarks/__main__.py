"""Here: ``./ecg bench``: what is run, in which sizes, and where the figures go. Not here: measuring."""

import argparse
import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import classification, figures, pages, readers, rendering, scaling, tables, training, twelve_lead, twelve_lead_tables


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much is measured.

    Parameters
    ----------
    n_compared : windows that matplotlib draws
    n_drawn : windows that this project draws
    n_recordings : twelve-lead recordings that are rendered
    n_classified : pictures, for each side of the classification
    records : of the nights, rising
    repeats : of the smallest nights
    training : beats, and how much of the notebook's training is run
    n_read : times that each reader reads its recording
    twelve_lead : recordings of a night, those of a user's own way, and how often each is run
    """

    n_compared: int
    n_drawn: int
    n_recordings: int
    n_classified: Mapping[str, int]
    records: tuple[int, ...]
    repeats: int
    training: Mapping[str, int]
    n_read: int
    twelve_lead: Mapping[str, int]


FULL = Sizes(
    n_compared=60,
    n_drawn=4096,
    n_recordings=100,
    n_classified={"notebook": 1000, "notebook_served": 1000, "heartbeat": 1000},
    records=(1000, 10_000, 100_000),
    repeats=5,
    training={"n_normal": training.N_NORMAL, "n_abnormal": training.N_ABNORMAL, "n_steps": 546, "n_drawn": 200, "n_scored": 1000},
    n_read=300,
    twelve_lead={"n_recordings": 278, "n_theirs": 3, "rounds": 5},
)
"""About ten minutes on two cores."""
QUICK = Sizes(
    n_compared=10,
    n_drawn=1024,
    n_recordings=10,
    n_classified={"notebook": 20, "notebook_served": 60, "heartbeat": 1000},
    records=(1000, 4000),
    repeats=1,
    training={"n_normal": training.N_NORMAL, "n_abnormal": training.N_ABNORMAL, "n_steps": 30, "n_drawn": 20, "n_scored": 300},
    n_read=30,
    twelve_lead={"n_recordings": 40, "n_theirs": 1, "rounds": 1},
)
"""About 90 seconds on two cores; the figures are those of few measurements."""

NAMES = ("rendering", "classification", "twelve_lead", "scaling")
"""What is run unless one is named."""
ON_REQUEST = ("train", "pages", "readers")
"""What is run only if it is named: it takes longer than all others together, or measures something else."""


_TABLES: Mapping[str, Callable[[Console, Mapping[str, Any]], None]] = {
    "rendering": tables.print_rendering,
    "classification": tables.print_classification,
    "twelve_lead": twelve_lead_tables.print_twelve_lead,
    "scaling": tables.print_scaling,
    "train": tables.print_training,
    "readers": readers.print_readers,
    "pages": pages.print_pages,
}
"""In the order in which they are printed; the memory of the first two comes behind them."""


def run(sizes: Sizes, *, only: str | None, folder: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Run the benchmarks, or one of them; results by name."""
    wanted: dict[str, tuple[str, Callable[[], dict[str, Any]]]] = {
        "rendering": (
            "drawing pictures",
            lambda: rendering.measure(n_compared=sizes.n_compared, n_drawn=sizes.n_drawn, n_recordings=sizes.n_recordings),
        ),
        "classification": ("classifying pictures", lambda: classification.measure(folder, n=dict(sizes.n_classified))),
        "twelve_lead": ("twelve-lead recordings from file to report", lambda: twelve_lead.measure(folder, **sizes.twelve_lead)),
        "scaling": (
            f"nights of {', '.join(f'{n:,}' for n in sizes.records)} records",
            lambda: scaling.measure(folder, sizes=sizes.records, repeats=sizes.repeats),
        ),
        "train": ("learning", lambda: training.measure(**sizes.training)),
        "readers": ("reading every format", lambda: readers.measure(sizes.n_read)),
        "pages": ("the pages inside Airflow", lambda: pages.measure(say)),
    }
    found = {}
    for name in NAMES if only is None else (only,):
        says, measure = wanted[name]
        say(says)
        found[name] = measure()
    return found


def main() -> None:
    """Run the benchmarks that the arguments of ``./ecg bench`` ask for."""
    parser = argparse.ArgumentParser(prog="ecg bench", description="Measure this project beside the notebook's own way, in one run.")
    parser.add_argument(
        "benchmark",
        nargs="?",
        choices=(*NAMES, *ON_REQUEST),
        help="run one benchmark; only if it is named: learning (about 15 minutes, --quick 3), the pages inside Airflow, the readers",
    )
    parser.add_argument("--quick", action="store_true", help="small sizes: about 90 seconds instead of ten minutes")
    parser.add_argument("--only", choices=NAMES, help="the same, for one of those that are run by default")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures for a program; see benchmarks/README.md for its keys")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    load_before = os.getloadavg()[0]
    if load_before > 0.5 * (os.cpu_count() or 1):
        console.print(f"[yellow]Other work runs on this machine (load {load_before:.1f}): times will be longer and less certain.[/yellow]")
    with tempfile.TemporaryDirectory(prefix="ecg-bench-") as folder, console.status("starting") as status:
        found = run(
            QUICK if arguments.quick else FULL,
            only=arguments.benchmark or arguments.only,
            folder=Path(folder),
            say=lambda sentence: status.update(f"{sentence} …") if console.is_terminal else console.print(f"{sentence} …"),
        )
    if arguments.json:
        written = figures.document(found, quick=arguments.quick, load_before=load_before)
        arguments.json.write_text(json.dumps(written, indent=1) + "\n")
    console.print()
    for name, show in _TABLES.items():
        if name in found:
            show(console, found[name])
        if name == "classification" and found.keys() & {"rendering", "classification"}:
            tables.print_memory(console, found)
    if found_ratios := figures.ratios(found):
        tables.print_ratios(console, found_ratios)


if __name__ == "__main__":
    main()
