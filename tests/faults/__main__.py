"""Here: ``python -m tests.faults``: break a running stack in every way there is, and tell what came of it.

Not here: the faults (``faults``), one trial (``trial``).
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from tests.faults import clock
from tests.faults.bench import opened
from tests.faults.faults import FAULTS
from tests.faults.trial import Trial, reference, trial

if TYPE_CHECKING:
    from tests.faults.night import Night, Work


def main() -> None:
    """Try the faults, print the table, and fail if one was not survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=FAULTS, metavar="NAME", help=f"of: {'; '.join(FAULTS)}")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir(), "ecg-faults"), help="folder for table and findings")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the stack is stopped too
    asked.out.mkdir(parents=True, exist_ok=True)
    trials: list[Trial] = []
    names = asked.only or list(FAULTS)
    unbroken: dict[Work, Night] = {}
    for own_clock in dict.fromkeys(FAULTS[name].own_clock for name in names):
        for done in on_one_bench([name for name in names if FAULTS[name].own_clock == own_clock], own_clock, unbroken):
            trials.append(done)
            print(f"{rows(done)}{done.took_s:.0f} s", *done.faults, sep="\n    ", file=sys.stderr, flush=True)  # noqa: T201
            (asked.out / "trials.json").write_text(json.dumps([asdict(one) for one in trials], indent=1))
            (asked.out / "table.md").write_text(table(trials))
    print(table(trials))  # noqa: T201
    sys.exit(any(one.faults for one in trials))


def on_one_bench(names: Sequence[str], own_clock: tuple[str, ...], unbroken: "dict[Work, Night]") -> Iterator[Trial]:
    """Try these one after the other. An unbroken night of each kind of work is the yardstick for all benches: it holds only contents."""
    if own_clock and clock.WHY_NOT:
        yield from (Trial(name=name, not_tried=clock.WHY_NOT) for name in names)
        return
    with opened(own_clock=own_clock, own_disks=any(FAULTS[name].own_disks for name in names)) as bench:
        print(f"logs of the stack: {bench.stack.home.logs}", file=sys.stderr, flush=True)  # noqa: T201
        for name in names:
            fault = FAULTS[name]
            if fault.own_disks and bench.disks.why_not:
                yield Trial(name=name, not_tried=bench.disks.why_not)
                continue
            if fault.work not in unbroken:
                try:
                    unbroken[fault.work] = reference(bench, fault.work)
                except (RuntimeError, TimeoutError) as error:
                    yield Trial(name=name, faults=(f"the unbroken night: {error}",))
                    continue
                sizes = f"{unbroken[fault.work].received}, {len(unbroken[fault.work].decisions)} decisions"
                print(f"unbroken: {sizes}", file=sys.stderr, flush=True)  # noqa: T201
            yield trial(bench, name, fault, unbroken=unbroken[fault.work])


def table(trials: Iterable[Trial]) -> str:
    """All breaks as Markdown."""
    head = "| night | fault | in the middle of | tried again after | run ended after | survived |\n|---|---|---|---:|---:|---|\n"
    return head + "".join(rows(one) for one in trials)


def rows(trial: Trial) -> str:
    """One night as rows of the table."""
    if trial.not_tried:
        return f"| {trial.name} | | | | | not tried: {trial.not_tried} |\n"
    outcome = "**no**" if trial.faults else "yes"
    if not trial.broken:
        return f"| {trial.name} | nothing | | | | {outcome} |\n"
    lines = [
        f"| {trial.name} | {one.what} | {one.where} | {_seconds(one.retried_s)} | {_seconds(one.ended_s)} | {outcome} |\n"
        for one in trial.broken
    ]
    return "".join(lines)


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} s"


if __name__ == "__main__":
    main()
