"""Here: one measurement in a process of its own, with its times and its peak memory. Not here: what is measured.

A case is a function of this package that imports and loads what it needs and returns the work to be measured, itself a function
without arguments. What a case does before that counts as its start.
"""

import importlib
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[1]
MB = 1_000_000

Work = Callable[[], Any]
"""What is measured; it returns something that JSON can hold."""


class CaseFailedError(RuntimeError):
    """A measurement ended with an error; the message holds what it printed."""


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What one process took.

    Parameters
    ----------
    start_wall_s : seconds from the start of the process until the work began: Python itself, imports, loading
    start_cpu_s : processor seconds of the same, all threads
    start_mb : memory held when the work began, MB (resident set)
    wall_s : seconds of the work
    cpu_s : processor seconds of the work, all threads
    peak_mb : the most memory that the process ever held, MB (resident set)
    result : what the work returned
    """

    start_wall_s: float
    start_cpu_s: float
    start_mb: float
    wall_s: float
    cpu_s: float
    peak_mb: float
    result: Any


def in_own_process(case: Callable[..., Work], /, *, environment: Mapping[str, str] | None = None, **arguments: Any) -> Usage:
    """Run a case in a fresh Python and return what it took.

    Parameters
    ----------
    case : a function at the top of a module of this package
    environment : variables beside those of this process
    arguments : of the case; anything that JSON can hold

    Raises
    ------
    CaseFailedError
        If the process did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="ecg-bench-") as folder:
        answer = Path(folder) / "usage.json"
        task = {"case": f"{case.__module__}:{case.__name__}", "arguments": arguments, "answer": str(answer), "began": time.time()}
        variables = os.environ | {"PYTHONPATH": str(CHECKOUT), "TF_CPP_MIN_LOG_LEVEL": "2"} | dict(environment or {})
        command = [sys.executable, "-P", "-m", "benchmarks.processes", json.dumps(task)]
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)  # noqa: S603 - our own module, no shell
        if done.returncode != 0:
            raise CaseFailedError(f"{task['case']} {arguments} ended with {done.returncode}:\n{done.stdout}{done.stderr}".strip())
        return Usage(**json.loads(answer.read_text()))


def _run(task: Mapping[str, Any]) -> Usage:
    module, name = task["case"].split(":")
    work: Work = getattr(importlib.import_module(module), name)(**task["arguments"])
    start_wall_s, start_cpu_s, start_mb = time.time() - task["began"], time.process_time(), _memory_mb("VmRSS")
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    return Usage(
        start_wall_s=start_wall_s,
        start_cpu_s=start_cpu_s,
        start_mb=start_mb,
        wall_s=wall_s,
        cpu_s=cpu_s,
        peak_mb=_memory_mb("VmHWM"),
        result=result,
    )


def _memory_mb(field: str) -> float:
    """Return the memory of this process as Linux reports it in ``/proc``; elsewhere the peak stands for both.

    ``getrusage`` tells of a peak, too, but on Linux a fresh process begins with the peak of the one that it was forked from.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith(f"{field}:"))
        return int(line.split()[1]) * 1024 / MB
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / MB if sys.platform == "darwin" else peak * 1024 / MB


if __name__ == "__main__":
    _task = json.loads(sys.argv[1])
    Path(_task["answer"]).write_text(json.dumps(asdict(_run(_task))))
