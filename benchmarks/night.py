"""Here: one night of the pipeline: heartbeat records go from the inbox to a report. Not here: what follows from it (``scaling``).

Every task of the DAGs ``ingest_records``, ``render_spectrograms`` and ``classify_records`` runs in a process of its own, as the
scheduler would run it, one after the other, against a real S3 server.
"""

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.beats import heartbeat_csv
from benchmarks.processes import Usage, Work, in_own_process
from ecg_tasks.names import RecipeName

ROWS_PER_FILE = 1000
DETAIL_PAGES = 10
"""Records with a page of their own in the report: a fixed cost of a night, set by a parameter of its run."""
RECIPE = RecipeName.HEARTBEAT.value
RUN = "bench"

TASKS_IN = {
    "ingest": "ecg_tasks.pipeline.ingest_records",
    "render": "ecg_tasks.pipeline.render_spectrograms",
    "classify": "ecg_tasks.pipeline.classify_records",
}
"""The modules with the tasks of the three DAGs."""
WARM_UP = {
    "ingest": ("pandas",),
    "render": ("cv2", "scipy.signal"),
    "classify": ("ai_edge_litert.interpreter", "cv2", "pandas", "jsonschema"),
}
"""What the tasks of a DAG import when they need it: here before the clock starts, so that it counts as the start of the process."""


@dataclass(frozen=True, kw_only=True)
class NightUsage:
    """What a night took: of each step, one usage a task, in the order of the pipeline."""

    n_records: int
    tasks: dict[str, list[Usage]]


def run_night(n_records: int, *, bucket: str, environment: Mapping[str, str], models: Path) -> NightUsage:
    """Run all DAGs, from a full inbox in an empty bucket to a report.

    Parameters
    ----------
    n_records : heartbeat rows in the inbox
    environment : what leads to the S3 server
    models : folder of the champions
    """
    variables = {**environment, "ECG_BUCKET": bucket, "ECG_RECIPES": RECIPE}
    tasks: dict[str, list[Usage]] = {}

    def run(name: str, *arguments: Any) -> Any:
        usage = in_own_process(task, environment=variables, name=name, arguments=list(arguments))
        tasks.setdefault(name, []).append(usage)
        return usage.result

    in_own_process(fill, environment=variables, n_records=n_records, models=str(models))
    run("ingest.publish", RUN, [run("ingest.ingest_batch", job) for job in run("ingest.plan", RUN)])
    run("render.publish", RUN, [run("render.render_shard", job) for job in run("render.plan", RUN)])
    pin = run("classify.pin_champion", RUN, "2026-01-01", "new", DETAIL_PAGES)
    report = run("classify.write_report", pin, [run("classify.classify_shard", job) for job in run("classify.plan", pin)])
    n_decided = in_own_process(count_decided, environment=variables, report=report).result
    if n_decided != n_records:
        raise RuntimeError(f"{n_records} records were dropped, and the report decides on {n_decided}")
    return NightUsage(n_records=n_records, tasks=tasks)


def fill(n_records: int, models: str) -> Work:
    """Case: make the bucket, install the champion, and drop the files."""
    from ecg_tasks.archive import workspace
    from ecg_tasks.pipeline.champions import seed
    from ecg_tasks.pipeline.intake import inbox

    def files() -> Iterator[tuple[str, bytes]]:
        for at, start in enumerate(range(0, n_records, ROWS_PER_FILE)):
            yield f"ward/synthetic_{at:04d}.csv", heartbeat_csv(min(ROWS_PER_FILE, n_records - start), seed=at)

    def work() -> None:
        workspace.open_store().create_bucket()
        seed.install_champions(Path(models))
        inbox.put_files(files())

    return work


def count_decided(report: str) -> Work:
    """Case: how many records the report has a decision on."""
    import json

    from ecg_tasks.archive import workspace

    counts = json.loads(workspace.open_store().get(report.replace("index.html", "summary.json")))["counts"]
    return lambda: counts["records"] - counts["pending"]


def task(name: str, arguments: list[Any]) -> Work:
    """Case: one task of a DAG, as the scheduler would run it."""
    module, function = name.split(".")
    for needed in WARM_UP[module]:
        importlib.import_module(needed)
    called = getattr(importlib.import_module(TASKS_IN[module]), function)
    importlib.import_module("ecg_tasks.archive.workspace").open_store()  # the first client of a process takes 0.2 s, further ones none
    return lambda: called(*arguments)
