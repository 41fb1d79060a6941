"""Here: what it costs to read files behind walls: ``python -m benchmarks.walls 256``. Not here: what reading itself costs (``readers``).

The same drops, recordings of twelve leads of 10 s at 500 Hz with copies without identifiers, are read in this process and in one behind
walls, which all tasks of a stack share the parent of, in groups as a task asks for them. All are kept to the end, as a shard keeps them.
Processor time is that of all processes that have a part in it.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from statistics import median

from rich.console import Console
from rich.table import Table

from benchmarks import written_files
from ecg_tasks.errors import BadInputError
from ecg_tasks.parsing import asking
from ecg_tasks.parsing.asking import Parser
from ecg_tasks.parsing.here import AskedDrop, Found, ParseAll, read_here
from ecg_tasks.pipeline.intake import filling
from ecg_tasks.pipeline.intake.reading import bounds

ROUNDS = 9


def measure(n_drops: int) -> dict[str, float]:
    """Return milliseconds for a batch: ``here_cpu``, ``here_wall``, ``start_cpu``, ``start_wall`` and ``behind_cpu``, ``behind_wall``.

    Raises
    ------
    RuntimeError
        If what was read differs.
    """
    drops = [written_files.wfdb(written_files.made(seed)) for seed in range(n_drops)]
    asking.EVERYTHING_AT_ONCE = True  # as the executor starts it
    with Parser() as parser:
        parser.start(ordinary=True)
        forks = parser.pids()[0]
        if ids(parser.read_all, drops) != ids(all_here, drops):
            raise RuntimeError("not the same records, or not the same copies")
    found: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        add(found, "here", time.process_time, lambda: ids(all_here, drops))
        with Parser() as parser:
            add(found, "start", everybody(forks, parser), partial(parser.start, ordinary=True))
            add(found, "behind", everybody(forks, parser), lambda parser=parser: ids(parser.read_all, drops))  # type: ignore[misc]
    return {name: median(values) for name, values in found.items()}


def ids(parse: ParseAll, drops: list[dict[str, bytes]]) -> list[tuple[str, list[bytes]]]:
    """Read drops group by group; returns each record's id, and its copy."""
    asked = [AskedDrop(f"w/{next(iter(files))}", files, {file: file for file in files}) for files in drops]
    groups = filling.groups(asked, lambda one: (sum(map(len, one.contents.values())), 1), most=bounds(len(asked)))
    read = [one for group in groups for one in parse(group)]
    return [(one[0].records[0].record_id, list((one[1] or {}).values())) for one in read if not isinstance(one, BadInputError)]


def all_here(asked: Sequence[AskedDrop], /) -> list[Found | BadInputError]:
    """Read drops in this process."""
    return [read_here(one.name, one.contents, called=one.called) for one in asked]


def everybody(forks: int, parser: Parser) -> Callable[[], float]:
    """Return a clock of the processor time of this process, of the one that forks, and of its fork behind walls."""
    return lambda: time.process_time() + sum(time.clock_gettime(~pid << 3 | 2) for pid in {forks, *parser.pids()})


def add(found: dict[str, list[float]], name: str, clock: Callable[[], float], do: Callable[[], object]) -> None:
    """Do it, and note the milliseconds that it took."""
    cpu, wall = clock(), time.perf_counter()
    do()
    found.setdefault(f"{name}_wall", []).append(1000 * (time.perf_counter() - wall))
    found.setdefault(f"{name}_cpu", []).append(1000 * (clock() - cpu))


def print_walls(console: Console, n_drops: int, found: Mapping[str, float]) -> None:
    """Print what a batch takes here and behind walls."""
    table = Table(title=f"Reading {n_drops} recordings, with their copies: median of {ROUNDS}", title_justify="left")
    for column in ("", "processor, ms", "clock, ms"):
        table.add_column(column, justify="left" if not column else "right")
    for name, title in (("here", "in the task"), ("start", "to start behind walls"), ("behind", "behind walls")):
        table.add_row(title, f"{found[f'{name}_cpu']:.1f}", f"{found[f'{name}_wall']:.1f}")
    console.print(table)


if __name__ == "__main__":
    _n = int(sys.argv[1])
    print_walls(Console(), _n, measure(_n))
