"""Here: one process that gives one target its inputs within 1 GB, and tells in shared memory where it stands. Not here: watching it."""

import contextlib
import json
import mmap
import os
import resource
import struct
import sys
import time
import traceback
from collections import Counter
from pathlib import Path

MEMORY_BYTES = 1024**3
"""Private memory of the whole process, interpreter and libraries included (RLIMIT_DATA)."""
HANG_S = 5.0
"""Processor time for one input."""
HEAD = struct.Struct("<QI")
STATE_BYTES = 64 * 1024
_SAVE_EVERY_S = 5.0
_INSTRUMENTED = ["ecg_tasks.readers", "ecg_tasks.archive.keys", "ecg_tasks.pipeline", "ecg_tasks.queries", "ecg_ui", "wfdb.io"]
"""What Atheris sees: these are imported nowhere before."""


class Attempts:
    """Counts what becomes of every input; an exception is kept with the input that raised it, once for each place."""

    def __init__(self, check, *, n_inputs: int, folder: Path, start_mb: float) -> None:
        self._check = check
        self._n_inputs = n_inputs
        self._folder = folder
        with (folder / "state").open("r+b") as file:
            self._state = mmap.mmap(file.fileno(), STATE_BYTES)
        self._saved = time.monotonic()
        self.told = {"inputs": 0, "outcomes": Counter(), "slowest_s": 0.0, "faults": {}, "start_mb": start_mb, "peak_mb": start_mb}

    def __call__(self, data: bytes) -> None:
        """Try one input; the last one ends the process."""
        told = self.told
        HEAD.pack_into(self._state, 0, told["inputs"] + 1, len(data))
        end = min(HEAD.size + len(data), STATE_BYTES)
        self._state[HEAD.size : end] = data[: end - HEAD.size]
        start = time.process_time()
        try:
            outcomes = self._check(data)
        except Exception as error:  # noqa: BLE001 - that is what is looked for
            self._fault(error, data)
            outcomes = ["FAULT"]
        took = time.process_time() - start
        told["inputs"] += 1
        told["outcomes"].update(set(outcomes))
        if took > told["slowest_s"]:
            told["slowest_s"] = took
            (self._folder / "slowest").write_bytes(data)
            if took > HANG_S:
                self._fault(TimeoutError(f"{took:.1f} s"), data)
        if told["inputs"] == self._n_inputs:
            self.save()
            os._exit(0)  # libFuzzer has no other end
        if time.monotonic() - self._saved > _SAVE_EVERY_S:
            self.save()

    def save(self) -> None:
        """Write down what was counted so far."""
        self._saved = time.monotonic()
        self.told["peak_mb"] = peak_mb()
        file = self._folder / "counts.json.new"
        file.write_text(json.dumps(self.told))
        file.rename(self._folder / "counts.json")

    def _fault(self, error: Exception, data: bytes) -> None:
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "/ecg_" in frame.filename or "/fuzz/" in frame.filename]
        place = f"{type(error).__name__} at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else type(error).__name__
        faults = self.told["faults"]
        if place not in faults:
            (self._folder / f"fault-{len(faults)}").write_bytes(data)
            (self._folder / f"fault-{len(faults)}.txt").write_text("".join(traceback.format_exception(error)), errors="replace")
        faults[place] = faults.get(place, 0) + 1


def peak_mb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def work(target_name: str, engine: str, n_inputs: int, start: int, folder: Path) -> None:
    """Give a target so many inputs of an engine; everything that is told goes into the folder."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with _instrumenting() if engine == "coverage" else contextlib.nullcontext():
        from tests.fuzz import engines
        from tests.fuzz.targets import TARGETS

        target = TARGETS[target_name]
        opened = target.opened()
        check = opened.__enter__()  # never left: the last input ends the process
    attempts = Attempts(check, n_inputs=n_inputs, folder=folder, start_mb=peak_mb())
    run = engines.by_coverage if engine == "coverage" else engines.by_property
    while True:  # Hypothesis may draw fewer than it was asked for
        run(target, attempts, n_inputs=n_inputs - attempts.told["inputs"], start=start)
        start += 1


def _instrumenting() -> contextlib.AbstractContextManager[None]:
    try:
        import atheris
    except ImportError:
        sys.exit("Atheris is not installed: install locks/dev.txt (Linux, x86-64, Python 3.11 to 3.13)")
    return atheris.instrument_imports(include=_INSTRUMENTED)


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), Path(sys.argv[5]).resolve())
