"""Here: one large night on the running embedded stack: time and processor time of a record, memory of every process, tasks, size, requests.

Not here: growth by itself, without Airflow (``scaling``). ``python -m benchmarks.stack_night [--slots N] FOLDER DROP [DROP ...] > FILE``
runs a night for each DROP, on a stack of its own below FOLDER, and prints JSON. A drop is a number of synthetic heartbeat records, an
archive (``.zip``), or the folder of a data set that ``./ecg import auto`` knows: all of PTB-XL is the standing test of scale. ``PTBXL*N``
is a collection of N recordings that is made of such a folder (``larger_collection``), a part at a time, so it never lies on the disk as a
whole. ``--slots`` limits how many of the tasks that share the work run at once.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.beats import heartbeat_csv
from benchmarks.larger_collection import write_part
from deploy.embedded import Stack, object_store, processes
from deploy.embedded.airflow_api import AirflowApi

ROWS_PER_FILE = 1000
DAGS = ("ingest_records", "render_spectrograms", "classify_records")
_SAMPLE_S = 1.0
_POLL_S = 0.5
_TASK = "task"
_PART = 50_000
"""So many recordings of a larger collection lie on the disk at once."""


class Peaks:
    """The largest memory that any process of each kind had, MB: the kernel's own high-water mark, looked at every second."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._known: dict[int, str] = {}
        self.phase = ""
        self.found: dict[str, float] = defaultdict(float)

    @contextmanager
    def watched(self) -> Iterator["Peaks"]:
        """Watch while the block runs."""
        ended = Event()
        watcher = Thread(target=self._watch, args=(ended,), daemon=True)
        watcher.start()
        try:
            yield self
        finally:
            ended.set()
            watcher.join()

    def _watch(self, ended: Event) -> None:
        while not ended.wait(_SAMPLE_S):
            for process in processes.of_stack(self._stack.home):
                try:
                    kind = self._kind(process)
                    status = Path(f"/proc/{process.pid}/status").read_text()
                except (OSError, psutil.Error):
                    continue
                peak = next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)
                self.found[kind] = max(self.found[kind], peak)

    def _kind(self, process: psutil.Process) -> str:
        if process.pid not in self._known:
            words = " ".join(process.cmdline())
            if "airflow worker" in words or "task" in process.name():
                self._known[process.pid] = _TASK
            else:
                names = ("swift-proxy", "swift-account", "swift-container", "swift-object", "postgres", "scheduler", "dag-processor")
                self._known[process.pid] = next((name for name in (*names, "triggerer", "api") if name in words), "others")
        kind = self._known[process.pid]
        return f"{_TASK} of {self.phase}" if kind == _TASK else kind


def measure(folder: Path, drop: str, *, slots: int | None = None) -> dict[str, Any]:
    """Measure one night on a fresh stack; all times but ``put_s`` are counted from the start of ``ingest_records`` with a full inbox.

    Parameters
    ----------
    drop : a number of synthetic records, an archive, the folder of a data set, or ``FOLDER*N``
    slots : of the pool ``cpu``; None leaves them as they are

    Returns
    -------
    dict
        ``n_records``, ``put_s``, the report's ``counts``; ``wall_s``, ``cpu_s`` (all processes of the machine that are not niced), and
        ``wall_ms`` and ``cpu_ms`` a record; ``dags``: of each ``wall_s``, ``n_tasks`` and ``n_mapped``; ``peak_mb`` by kind of process;
        ``bucket``: of each prefix the objects and bytes; ``put_requests`` and ``requests``: what the store was asked for before that start
        and after it, as `requests_of` gives it.
    """
    stack = Stack(folder / "home")
    own = dict(os.environ)
    object_store.NOTES_REQUESTS = True
    stack.up()
    try:
        os.environ.update(stack.environment())
        from ecg_tasks.actions.packed_drop import in_its_own_folder, put_packed
        from ecg_tasks.archive import keys
        from ecg_tasks.archive.workspace import open_store
        from ecg_tasks.offline.labelled_folders import open_folder
        from ecg_tasks.pipeline.intake import inbox

        peaks, dags = Peaks(stack), {}
        with stack.airflow() as api:
            for dag in DAGS[:2]:
                _pause(api, dag, paused=True)
            if slots is not None:
                _ask(api, "PATCH", "pools/cpu?update_mask=slots", {"name": "cpu", "slots": slots, "include_deferred": False})
            began, noted = time.monotonic(), [_noted(stack)]
            if drop.isdigit():
                inbox.put_files(_files(int(drop)))
            elif drop.endswith(".zip"):
                inbox.put_files([(Path(drop).name, Path(drop).read_bytes())])
            else:
                for part in _parts(drop, folder):
                    put_packed(in_its_own_folder(open_folder(part).for_inbox()))
            put_s = time.monotonic() - began
            known = {dag: set(api.runs(dag)) for dag in DAGS}
            began, cpu = time.monotonic(), _cpu_s()
            noted.append(_noted(stack))
            with peaks.watched():
                for dag in DAGS:
                    peaks.phase = dag
                    dags[dag] = _run(api, dag, known[dag], more=lambda: bool(open_store().list_keys(keys.INBOX)))
            wall_s, cpu_s = time.monotonic() - began, _cpu_s() - cpu
            noted.append(_noted(stack))
        store = open_store()
        sizes: dict[str, Counter[str]] = defaultdict(Counter)
        for item in store.list_objects(""):
            sizes[item.key.split("/")[0]].update(objects=1, bytes=item.size)
        counts = json.loads(store.get(next(key for key in store.list_keys("reports/") if key.endswith("/summary.json"))))["counts"]
        n_records = counts["records"]
        if counts["pending"] or not n_records or (drop.isdigit() and n_records != int(drop)):
            raise RuntimeError(f"the report of {drop} says {counts}")
    finally:
        stack.down()
        os.environ.clear()  # or the next stack would take this one's bucket for one of the user's own
        os.environ.update(own)
    return {
        "n_records": n_records,
        "counts": counts,
        "put_s": put_s,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "wall_ms": 1000 * wall_s / n_records,
        "cpu_ms": 1000 * cpu_s / n_records,
        "dags": dags,
        "peak_mb": dict(peaks.found),
        "bucket": {prefix: dict(size) for prefix, size in sizes.items()},
        "put_requests": requests_of(noted[1] - noted[0], n_records),
        "requests": requests_of(noted[2] - noted[1], n_records),
    }


def requests_of(noted: Counter[str], n_records: int) -> dict[str, Any]:
    """Return how many requests there were, and of which kind.

    Parameters
    ----------
    noted : how often each kind came with each folder, as ``get records``

    Returns
    -------
    dict: ``n``, ``per_record``, ``kinds`` (of each ``n`` and ``per_record``, the most frequent first), ``folders``: the given numbers

    >>> requests_of(Counter({"get records": 6, "get raw": 2, "delete many": 1}), 4)["kinds"]
    {'get': {'n': 8, 'per_record': 2.0}, 'delete many': {'n': 1, 'per_record': 0.25}}
    """
    kinds = Counter[str]()
    for words, n in noted.items():
        kinds["delete many" if words.startswith("delete many") else words.split()[0]] += n
    return {
        "n": noted.total(),
        "per_record": noted.total() / n_records,
        "kinds": {kind: {"n": n, "per_record": n / n_records} for kind, n in kinds.most_common()},
        "folders": dict(noted.most_common()),
    }


def _noted(stack: Stack) -> Counter[str]:
    return Counter(object_store.requests(stack.home).read_text().splitlines())


def _parts(drop: str, folder: Path) -> Iterator[Path]:
    """Yield the folder that a drop is; or those of a larger collection, one after the other, each of which is deleted after it."""
    source, _, wanted = drop.partition("*")
    if not wanted:
        yield Path(source)
        return
    for first in range(0, int(wanted), _PART):
        with tempfile.TemporaryDirectory(dir=folder) as scratch:
            write_part(Path(source), Path(scratch) / f"part{first}", first, min(_PART, int(wanted) - first))
            yield Path(scratch) / f"part{first}"


def _files(n_records: int) -> Iterator[tuple[str, bytes]]:
    for at, start in enumerate(range(0, n_records, ROWS_PER_FILE)):
        yield f"ward/synthetic_{at:04d}.csv", heartbeat_csv(min(ROWS_PER_FILE, n_records - start), seed=at)


def _run(api: AirflowApi, dag: str, known: set[str], *, more: Callable[[], bool]) -> dict[str, Any]:
    """Let a DAG do all there is to do: the run that waits for it or, if none comes, one of ours.

    A long inbox is worked off by several runs, so ``more`` is asked whether another one will come.
    """
    began = time.monotonic()
    if dag == "classify_records":
        api.trigger(dag, {"scope": "all", "details": 10})
    else:
        _pause(api, dag, paused=False)
    while True:
        runs = {run: state for run, state in api.runs(dag).items() if run not in known}
        if not runs and time.monotonic() - began > 10 * _POLL_S:
            api.trigger(dag)
        elif runs and not set(runs.values()) & {"queued", "running"} and not more():
            break
        time.sleep(_POLL_S)
    if set(runs.values()) != {"success"}:
        raise RuntimeError(f"{dag}: {runs}")
    tasks = Counter(task for run in runs for task, state in api.task_states(dag, run) if state == "success")
    return {
        "wall_s": time.monotonic() - began,
        "n_tasks": tasks.total(),
        "n_mapped": sum(tasks[task] for task in ("ingest_batch", "render_shard", "classify_shard")),
    }


def _pause(api: AirflowApi, dag: str, *, paused: bool) -> None:
    _ask(api, "PATCH", f"dags/{dag}", {"is_paused": paused})


def _ask(api: AirflowApi, method: str, path: str, body: dict[str, Any]) -> None:
    api._request(method, f"/api/v2/{path}", json=body)  # noqa: SLF001 - nothing but this asks for it


def _cpu_s() -> float:
    times = psutil.cpu_times()
    return float(times.user + times.system)


def main() -> None:
    """Run the nights that were asked for."""
    parser = argparse.ArgumentParser(description="Nights on running stacks.")
    parser.add_argument("--slots", type=int)
    parser.add_argument("folder", type=Path)
    parser.add_argument("drops", nargs="+")
    asked = parser.parse_args()
    nights = []
    for drop in asked.drops:
        nights.append(measure(asked.folder / Path(drop).name, drop, slots=asked.slots))
        sys.stderr.write(json.dumps(nights[-1]) + "\n")
    json.dump({"nights": nights, "cores": os.cpu_count()}, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
