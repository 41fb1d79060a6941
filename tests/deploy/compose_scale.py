"""Here: how much more several workers do on the running stack of ``docker-compose.yaml``. Not here: building it (``compose_run.sh``).

Called by ``SCALE=FILE compose_run.sh`` with Compose as arguments; every worker has one slot and one core. The same heartbeat records go
through ingest, render and classify with 1, 2 and 4 workers, the bucket emptied before. Besides, tasks that only list the store and sleep
tell whether anything but cores makes workers wait for one another. Prints two tables and writes FILE (JSON).
"""

import json
import os
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from compose_check import AirflowApi, classify, follow, follow_own_runs, in_worker, put, wait_for_dags  # it opens the path to the checkout

from benchmarks.beats import heartbeat_csv

N_RECORDS = 20_000
ROWS_PER_FILE = 1_000
NIGHTS = (1, 2, 4)
"""Workers."""
SLEEPS = {1: (8, 5.0), 4: (32, 5.0), 8: (32, 5.0)}
"""Workers -> tasks, seconds; the first tells what a task takes beside its sleep."""
MAPPED = {"ingest_records": "ingest_batch", "render_spectrograms": "render_shard", "classify_records": "classify_shard"}

_EMPTY = """
from concurrent.futures import ThreadPoolExecutor
from ecg_tasks.archive.workspace import open_store
store = open_store()
with ThreadPoolExecutor(8) as threads:
    list(threads.map(store.delete, [key for key in store.list_keys("") if not key.startswith(("models/", "logs/", "audit/"))]))
"""

_DECIDED = """
import json, sys
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.archive import keys
account = json.loads(open_store().get(keys.manifest("classify_records", keys.run_key(sys.argv[1]))))["account"]
print(account["records"] - account["pending"])
"""


def main(compose: list[str]) -> None:
    """Measure, print, write."""
    api = AirflowApi(ui=os.environ["ECG_UI_URL"], login="admin", password=os.environ["ECG_ADMIN_PASSWORD"])
    compose = [*compose, "-f", str(Path(__file__).parent / "compose" / "sleepers.yaml")]
    found: dict[str, Any] = {"n_cores": os.cpu_count(), "n_records": N_RECORDS, "nights": [], "sleeps": []}
    files = {f"ward/synthetic_{at:02d}.csv": heartbeat_csv(ROWS_PER_FILE, seed=at) for at in range(N_RECORDS // ROWS_PER_FILE)}
    for n_workers in sorted({*NIGHTS, *SLEEPS}):
        scale(compose, n_workers)
        wait_for_dags(api)
        if n_workers in NIGHTS:
            found["nights"].append({"workers": n_workers, **night(api, compose, files)})
        if n_workers in SLEEPS:
            n_tasks, seconds = SLEEPS[n_workers]
            run = api.trigger("sleepers", {"tasks": n_tasks, "seconds": seconds})
            follow(api, "sleepers", run)
            slept = mapped_part(tasks_of(api, "sleepers", run), "sleep")
            found["sleeps"].append({"workers": n_workers, "tasks": n_tasks, "seconds": seconds, **slept})
        Path(os.environ["SCALE"]).write_text(json.dumps(found, indent=1) + "\n")
    print_nights(found["nights"])
    print_sleeps(found["sleeps"])


def scale(compose: list[str], n_workers: int) -> None:
    """So many workers, all of them healthy."""
    environment = os.environ | {"ECG_WORKER_SLOTS": "1", "ECG_WORKER_CPUS": "1"}
    command = [*compose, "up", "-d", "--no-build", "--wait", "--scale", f"worker={n_workers}"]
    subprocess.run(command, check=True, capture_output=True, env=environment)


def night(api: AirflowApi, compose: list[str], files: dict[str, bytes]) -> dict[str, Any]:
    """From a full inbox in an empty bucket to a report."""
    while any({"queued", "running"} & set(api.runs(dag).values()) for dag in MAPPED):  # or its jobs would be deleted under it
        time.sleep(1)
    in_worker(compose, "-c", _EMPTY)
    known = {dag: set(api.runs(dag)) for dag in MAPPED}
    paused = "/api/v2/dags/ingest_records"  # or the watcher would start on the first files
    api._request("PATCH", paused, json={"is_paused": True})
    put(compose, files)
    api.trigger("ingest_records")
    api._request("PATCH", paused, json={"is_paused": False})
    for dag in ("ingest_records", "render_spectrograms"):
        follow_own_runs(api, dag, known[dag])
    run = classify(api)
    n_decided = int(in_worker(compose, "-c", _DECIDED, run))
    assert n_decided == N_RECORDS, f"{N_RECORDS} records were dropped, and {n_decided} decided on"
    steps = {}
    for dag, task in MAPPED.items():
        runs = [(one, tasks_of(api, dag, one)) for one in set(api.runs(dag)) - known[dag]]
        runs = [(one, tasks) for one, tasks in runs if any(each["task_id"] == task for each in tasks)]  # an empty one of the clock's
        wall_s = sum(max(each["end"] for each in tasks) - min(each["start"] for each in tasks) for _, tasks in runs)
        steps[dag] = {"wall_s": wall_s, **mapped_part([each for _, tasks in runs for each in tasks], task)}
    return {
        "wall_s": sum(step["wall_s"] for step in steps.values()),
        "mapped_s": sum(step["mapped_s"] for step in steps.values()),
        "steps": steps,
    }


def tasks_of(api: AirflowApi, dag: str, run: str) -> list[dict[str, Any]]:
    """What ran in a run: ``task_id``, ``host``, ``start`` and ``end`` in seconds."""
    path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances"
    found = api._request("GET", path, params={"limit": 100}).json()["task_instances"]
    return [
        {
            "task_id": one["task_id"],
            "host": one["hostname"],
            "start": datetime.fromisoformat(one["start_date"]).timestamp(),
            "end": datetime.fromisoformat(one["end_date"]).timestamp(),
        }
        for one in found
        if one["end_date"] and one["hostname"]
    ]


def mapped_part(tasks: list[dict[str, Any]], task: str) -> dict[str, Any]:
    """How many ran, on how many workers, how many at once, and from the first one's start to the last one's end."""
    tasks = [one for one in tasks if one["task_id"] == task]
    events = sorted([(one["start"], 1) for one in tasks] + [(one["end"], -1) for one in tasks])
    at_once, now = 0, 0
    for _, step in events:
        now += step
        at_once = max(at_once, now)
    return {
        "n_tasks": len(tasks),
        "n_workers": len({one["host"] for one in tasks}),
        "at_once": at_once,
        "mapped_s": events[-1][0] - events[0][0],
        "busy_s": sum(one["end"] - one["start"] for one in tasks),
    }


def print_nights(nights: list[dict[str, Any]]) -> None:
    """Table: the same records, more workers."""
    first = nights[0]
    row("workers", "ingest + render + classify", "records/s", "efficiency", "mapped tasks", "their efficiency", "how many (at once)")
    row(*["---"] * 7)
    for one in nights:
        n = one["workers"]
        tasks = ", ".join(f"{step['n_tasks']} ({step['at_once']})" for step in one["steps"].values())
        whole, mapped = (first[part] / one[part] / n for part in ("wall_s", "mapped_s"))
        row(
            n,
            f"{one['wall_s']:.1f} s",
            f"{N_RECORDS / one['wall_s']:.0f}",
            f"{whole:.0%}",
            f"{one['mapped_s']:.1f} s",
            f"{mapped:.0%}",
            tasks,
        )


def print_sleeps(sleeps: list[dict[str, Any]]) -> None:
    """Table: tasks that need no core, more workers; what a task takes beside its sleep comes from the first line."""
    beside_s = sleeps[0]["mapped_s"] / sleeps[0]["tasks"] - sleeps[0]["seconds"]
    row("workers", "tasks", "sleep", "first start to last end", "efficiency", "at once")
    row(*["---"] * 6)
    for one in sleeps:
        ideal_s = one["tasks"] * (one["seconds"] + beside_s) / one["workers"]
        efficiency = f"{ideal_s / one['mapped_s']:.0%}"
        row(one["workers"], one["tasks"], f"{one['seconds']:.0f} s", f"{one['mapped_s']:.1f} s", efficiency, one["at_once"])


def row(*cells: object) -> None:
    """One line of a table."""
    print(f"| {' | '.join(map(str, cells))} |", flush=True)  # noqa: T201 - this is a program


if __name__ == "__main__":
    main(sys.argv[1:])
