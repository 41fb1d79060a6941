"""Here: what a running stack takes while nothing comes: processor time and memory of each component. Not here: what a night takes.

    python -m benchmarks.idle_stack [SECONDS]

It looks at the stack of ``ECG_HOME`` twice and starts nothing. Between two quarters of an hour no task of it runs by itself. Memory is the
proportional set size: a page that n processes share counts as an nth in each. Linux only.
"""

import re
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

import psutil  # type: ignore[import-untyped]

from deploy.embedded import processes
from deploy.embedded.home import Home


class ProcessUse(NamedTuple):
    """What one process has taken: its component, seconds of processor time since its start, and memory now, MB."""

    component: str
    cpu_s: float
    pss_mb: float


def look(home: Home) -> dict[int, ProcessUse]:
    """Return what each process of the stack has taken, by its number."""
    found = {}
    for process in processes.of_stack(home):
        try:
            component = "postgres" if process.name() == "postgres" else process.environ().get("ECG_COMPONENT", "supervisor")
            times = process.cpu_times()
            told = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii")
        except (psutil.Error, OSError):  # it has ended
            continue
        kilobytes = re.search(r"^Pss: +(\d+) kB$", told, re.MULTILINE)
        found[process.pid] = ProcessUse(component, times.user + times.system, int(kilobytes[1]) / 1000 if kilobytes else 0.0)
    return found


def main() -> None:
    """Tell of each component and of all: processes, share of a core, memory."""
    home, seconds = Home(), float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    before, began = look(home), time.monotonic()
    time.sleep(seconds)
    after, passed = look(home), time.monotonic() - began
    by: dict[str, list[ProcessUse]] = defaultdict(list)
    for pid, one in after.items():
        used = one.cpu_s - (before[pid].cpu_s if pid in before else 0.0)
        for name in (one.component, "all"):
            by[name].append(ProcessUse(name, used, one.pss_mb))
    for name, parts in sorted(by.items(), key=lambda item: sum(one.cpu_s for one in item[1])):
        share = 100 * sum(one.cpu_s for one in parts) / passed
        print(f"{name:16} {len(parts):3} processes {share:6.2f} % of a core {sum(one.pss_mb for one in parts):6.0f} MB")


if __name__ == "__main__":
    main()
