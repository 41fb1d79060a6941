"""Here: what a twelve-lead recording of ten seconds costs from its files to a report. Not here: its bounds, or others' ways
(``twelve_lead_beside``), or the tables.

The tasks of the three DAGs run one after the other in one process, as the scheduler would call them, on a bucket in memory whose own time
is told apart. Files are read behind walls, and the time of the process that reads them counts. All times are processor time. A night of a
few recordings is what a night costs whatever comes: a recording costs what a larger night takes beyond it. Nights take turns with what
stands beside them, so that other work on the machine meets all of them.
"""

import gc
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from statistics import median
from typing import Any, ParamSpec, Self, TypeVar
from unittest import mock

from benchmarks.beats import recordings
from benchmarks.memory_store import MemoryS3
from benchmarks.models import models_folder
from benchmarks.processes import Work, in_own_process
from benchmarks.rendering import ONE_THREAD
from benchmarks.store import PATIENT_KEY

RATES = (500, 100)
"""Hz."""
DURATION_S = 10.0
FEW = 8
"""Recordings of a night that costs next to nothing but what every night does."""
RECIPES = ("twelve_lead", "heartbeat")
RUN = "bench"
STAGES = ("read", "write", "publish", "draw twelve_lead", "draw heartbeat", "measure", "decide twelve_lead", "decide heartbeat", "report")
STORE = "store"
"""Not one of the stages: it stands for a server, which works elsewhere."""

P = ParamSpec("P")
T = TypeVar("T")
Files = dict[str, bytes]


def measure(folder: Path, *, n_recordings: int, n_theirs: int, rounds: int) -> dict[str, Any]:
    """Run nights of recordings at each rate, beside their bounds and what a user would write.

    Parameters
    ----------
    folder : for networks without training, where no champion is shipped
    n_recordings : in the larger night
    n_theirs : recordings that a user's own way takes
    rounds : nights of either size; the median counts

    Returns
    -------
    dict
        ``n_recordings``, ``n_theirs``, ``rounds``; and by rate in Hz: ``stages``, of each ``ms``, ``bound_ms``, ``bound`` (in words) and
        ``times_bound``; ``ms`` and ``bound_ms`` of all of them; ``store_ms``; ``fixed_ms`` of a night of a few; ``theirs_ms`` by step,
        ``theirs_all_ms`` and ``times_faster``; ``n_bytes`` of a recording's files.
    """
    from benchmarks import twelve_lead_beside

    models = list(dict.fromkeys(str(models_folder(folder / "models", recipe)[0]) for recipe in RECIPES))
    found: dict[str, Any] = {"n_recordings": n_recordings, "n_theirs": n_theirs, "rounds": rounds, "rates": {}}
    theirs = in_own_process(twelve_lead_beside.theirs, environment=ONE_THREAD, models=models, n=n_theirs).result
    for fs in RATES:
        ours = in_own_process(
            nights,
            environment=ONE_THREAD | variables(),
            models=models,
            operations=theirs["operations"],
            fs=fs,
            n=n_recordings,
            rounds=rounds,
        ).result
        found["rates"][str(fs)] = beside(ours, theirs[str(fs)])
    return found


def variables() -> dict[str, str]:
    """Return what tasks need to know."""
    return {"ECG_BUCKET": "memory", "ECG_PATIENT_KEY": PATIENT_KEY, "ECG_RECIPES": ",".join(RECIPES)}


def beside(ours: dict[str, Any], theirs: dict[str, float]) -> dict[str, Any]:
    """Put the bounds and a user's times beside what the stages take."""
    bounds, ms = ours.pop("bounds"), ours.pop("stages")
    stages = {
        name: {"ms": ms[name], "bound_ms": bounds[name][0], "bound": bounds[name][1], "times_bound": ms[name] / bounds[name][0]}
        for name in STAGES
    }
    total = sum(ms[name] for name in STAGES)
    return {
        "ms": total,
        "bound_ms": sum(bounds[name][0] for name in STAGES),
        "times_faster": sum(theirs.values()) / total,
        "stages": stages,
        "store_ms": ours.pop(STORE),
        "theirs_all_ms": sum(theirs.values()),
        "theirs_ms": theirs,
        **ours,
    }


def wfdb_drop(n: int, *, fs: float) -> Iterator[tuple[str, Files]]:
    """Make recordings of imaginary patients as WFDB files."""
    from ecg_tasks.signals.record import STANDARD_LEADS
    from ecg_tasks.signals.sample_files import wfdb_record

    for at, record in enumerate(recordings(n, fs=fs, duration_s=DURATION_S)):
        stem = f"r{at:05d}"
        yield stem, wfdb_record(record.samples, fs=fs, leads=STANDARD_LEADS, stem=stem, comments=("synthetic: yes",))


def nights(models: list[str], operations: dict[str, float], fs: float, n: int, rounds: int) -> Work:
    """Case: nights of a few recordings and of ``n``, in turn, with the bounds between them."""
    from benchmarks import twelve_lead_beside

    drops = dict(wfdb_drop(n, fs=fs))
    few = dict(list(drops.items())[:FEW])
    night = Night([Path(folder) for folder in models])
    with night:
        night.run(few)  # imports, plans of transforms, and the process that reads

    def work() -> dict[str, Any]:
        small, large, bounds = [], [], []
        for _ in range(rounds):
            with night:
                small.append(night.run(few))
                large.append(night.run(drops))
            bounds.append(twelve_lead_beside.bounds(drops, operations))

        def of_each(name: str) -> float:
            return 1000 * (median(one[name] for one in large) - median(one[name] for one in small)) / (n - len(few))

        return {
            "stages": {name: of_each(name) for name in STAGES},
            STORE: of_each(STORE),
            "bounds": {name: [median(one[name][0] for one in bounds), bounds[0][name][1]] for name in STAGES},
            "fixed_ms": 1000 * median(sum(one[name] for name in STAGES) for one in small),
            "n_bytes": sum(len(data) for files in drops.values() for data in files.values()) / n,
        }

    return work


class Night:
    """Runs the tasks of a night on a bucket in memory, with a clock at every stage.

    Parameters
    ----------
    models : folders with champions
    """

    def __init__(self, models: Sequence[Path]) -> None:
        from ecg_tasks.archive.object_store import ObjectStore
        from ecg_tasks.parsing import asking
        from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms

        self.models = models
        self._bucket = MemoryS3()
        self._taken: dict[str, float] = {}
        self._lock = threading.Lock()
        night, read = self, asking.Parser.read_all

        class Watched(asking.Parser):
            """Counts what is read, here and behind the walls."""

            def read_all(self, *args: Any, **kwargs: Any) -> Any:
                start = time.thread_time()  # tasks read in threads
                try:
                    return read(self, *args, **kwargs)
                finally:
                    night.add(time.thread_time() - start, "read", less="write")

            def __exit__(self, *ended: object) -> None:
                for pid in self.pids()[1:]:
                    night.add(time.clock_gettime(~pid << 3 | 2), "read")  # its clock, as clock_getcpuclockid(3) numbers it
                super().__exit__(*ended)

        self._patched = ExitStack()
        self._patches: list[tuple[Any, str, Any]] = [
            (asking, "EVERYTHING_AT_ONCE", True),  # as the executor starts the process that reads
            (ingest_records, "Parser", Watched),
            (ObjectStore, "connect", classmethod(lambda *_: ObjectStore(night._bucket, "memory"))),  # type: ignore[arg-type]  # as much of a client as is used
        ]
        for module, function, stage in (
            (render_spectrograms, "measure_one", lambda *_: "measure"),
            (render_spectrograms, "render_one", lambda _store, _name, _shard, recipe: f"draw {recipe.name}"),
            (classify_records, "classify_one", lambda _store, _classifier, recipe, _shard: f"decide {recipe.name}"),
        ):
            self._patches.append((module, function, self._clocked(stage, getattr(module, function))))

    def __enter__(self) -> Self:
        for where, name, value in self._patches:
            self._patched.enter_context(mock.patch.object(where, name, value))
        return self

    def __exit__(self, *_: object) -> None:
        self._patched.close()

    def run(self, drops: Mapping[str, Files]) -> dict[str, float]:
        """Run a night, from a full inbox in an empty bucket to a report; returns the processor seconds of each stage and of the store."""
        from ecg_tasks.archive.workspace import open_store
        from ecg_tasks.pipeline import classify_records, ingest_records, render_spectrograms
        from ecg_tasks.pipeline.champions import seed
        from ecg_tasks.pipeline.intake import inbox

        bucket = self._bucket = MemoryS3()
        gc.collect()  # what an earlier night left is not this one's
        for folder in self.models:
            seed.install_champions(folder)
        inbox.put_files((name, data) for files in drops.values() for name, data in files.items())
        self._taken = dict.fromkeys(STAGES, 0.0)
        bucket.own_s = 0.0

        def run(stage: str, task: Callable[..., T], *args: Any) -> T:
            return self._clocked(lambda *_: stage, task)(*args)

        jobs = run("publish", ingest_records.plan, RUN)
        run("publish", ingest_records.publish, RUN, [run("write", ingest_records.ingest_batch, job) for job in jobs])
        jobs = run("report", render_spectrograms.plan, RUN)
        run("report", render_spectrograms.publish, RUN, [run("report", render_spectrograms.render_shard, job) for job in jobs])
        pin = run("report", classify_records.pin_champion, RUN, "2026-01-01", "new", 1)
        jobs = run("report", classify_records.plan, pin)
        report = run("report", classify_records.write_report, pin, [run("report", classify_records.classify_shard, job) for job in jobs])
        counts = json.loads(open_store().get(report.replace("index.html", "summary.json")))["counts"]
        if counts["records"] - counts["pending"] != len(drops):
            raise RuntimeError(f"{len(drops)} recordings were dropped, and the report decides on {counts}")
        return self._taken | {STORE: bucket.own_s}

    def add(self, seconds: float, stage: str, *, less: str = "") -> None:
        """Note what a stage took; ``less`` is the stage that it was counted with."""
        with self._lock:
            self._taken[stage] += seconds
            if less:
                self._taken[less] -= seconds

    def _clocked(self, stage: Callable[..., str], function: Callable[P, T]) -> Callable[P, T]:
        """Return a function that notes what a call took beyond the calls inside it that are noted too, and beyond the store."""

        @wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            def noted() -> float:
                return sum(self._taken.values()) + self._bucket.own_s

            start, before = time.process_time(), noted()
            result = function(*args, **kwargs)
            self.add(time.process_time() - start - (noted() - before), stage(*args, **kwargs))
            return result

        return call
