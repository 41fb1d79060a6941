"""Here: ``demo``: the whole way of recordings to a report, through the real scheduler. Not here: any of the steps themselves."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli import inbox, runs
from ecg_tasks.cli.stack import describe
from ecg_tasks.cli.terminal import complain, console, say
from ecg_tasks.names import DagId, RecipeName

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.progress import Progress

    from deploy.embedded import Stack
    from deploy.embedded.airflow_api import AirflowApi
    from ecg_tasks.offline.labelled_folders import Content

SEED = 2026
N_PATIENTS = 140
"""Enough for each side of the split to hold some of both classes."""
RETRAINING = {"recipe": RecipeName.TWELVE_LEAD.value, "epochs": 12, "ensemble_size": 1, "policy": "refresh"}
"""One network instead of four, to save half a minute. A refresh: the shipped champion has seen none of the made-up recordings, and knows
the sign from real ones nearly as well."""

_DAGS = {DagId.INGEST_RECORDS, DagId.RENDER_SPECTROGRAMS, DagId.RETRAIN_MODEL, DagId.CLASSIFY_RECORDS}
_WATCHER_S = 20.0
"""After so long without a run, a DAG is started by hand: the watcher and the assets only save time."""


def demo(
    *,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder with a public collection, or with heartbeat CSVs; default: made-up recordings.", exists=True, file_okay=False
        ),
    ] = None,
    stop: Annotated[bool, typer.Option("--stop", help="Stop the stack at the end.")] = False,
) -> None:
    """Start the stack, drop recordings, run the four DAGs and show the report (about 3 minutes on 2 cores)."""
    from deploy.embedded import Stack
    from ecg_tasks.queries import progress
    from ecg_tasks.queries.store import open_store

    files = _recordings(data)
    stack = Stack()
    stack.up(say)
    os.environ.update(stack.environment())
    if data is None and progress.holds_real(open_store()):
        say("this bucket holds real recordings: the made-up ones get decisions, but no model is trained on them")
    try:
        report = _run_everything(stack, files)
        local = _fetch_report(stack, report)
        console().print()
        console().print(f"report         {local}")
        console().print(f"               s3://{stack.environment()['ECG_BUCKET']}/{report}")
        if stop:
            say("stopping; start again with: ./ecg up")
        else:
            _tell_how_to_go_on(stack)
    finally:
        if stop:
            stack.down()


def _recordings(folder: Path | None) -> "list[tuple[str, Content]]":
    if folder is None:
        from ecg_tasks.signals.sample_drop import sample_drop

        say("making recordings of people who do not exist (synthetic; everything that is made from them says so)")
        return list(sample_drop(seed=SEED, n_patients=N_PATIENTS, recordings_per_patient=1).items())
    from ecg_tasks.offline.labelled_folders import open_folder

    found = open_folder(folder)
    say(f"reading {folder} as {found.kind}")
    return found.for_inbox()


def _run_everything(stack: "Stack", files: "list[tuple[str, Content]]") -> str:
    """Run all four DAGs, one after the other; return the key of the report."""
    from ecg_tasks.queries import progress
    from ecg_tasks.queries.store import open_store

    store = open_store()
    with stack.airflow() as api:
        _wait_for_dags(api)
        known = {dag: set(api.runs(dag)) for dag in _DAGS}
        n_files = inbox.drop(stack, files)
        say(f"files dropped into the inbox: {n_files}")
        dropped = [name for name, _ in files]
        with runs.progress() as bars:
            follow_own_runs(
                api, DagId.INGEST_RECORDS, bars, known=known[DagId.INGEST_RECORDS], done=lambda: progress.is_taken_over(store, dropped)
            )
            follow_own_runs(
                api, DagId.RENDER_SPECTROGRAMS, bars, known=known[DagId.RENDER_SPECTROGRAMS], done=lambda: progress.is_rendered(store)
            )
            retrained = runs.follow(api, DagId.RETRAIN_MODEL, api.trigger(DagId.RETRAIN_MODEL, RETRAINING), bars)
            run = api.trigger(DagId.CLASSIFY_RECORDS, {"scope": "all"})
            classified = runs.follow(api, DagId.CLASSIFY_RECORDS, run, bars)
    if retrained != "success":
        complain(
            "retrain_model failed, usually because too few patients have labels (see the log of its task); the model that served goes on "
            "serving"
        )
    if classified != "success":
        complain(f"classify_records failed; see its run {run} in {stack.ui}")
        raise typer.Exit(1)
    return progress.report_of(store, run)


def _wait_for_dags(api: "AirflowApi") -> None:
    deadline = time.monotonic() + 600
    while missing := _DAGS - set(api.dags()):
        if errors := api.import_errors():
            file, trace = next(iter(errors.items()))
            complain(f"Airflow cannot read {file}: {trace.strip().splitlines()[-1]}")
            raise typer.Exit(1)
        if time.monotonic() > deadline:
            complain(f"Airflow has not read {', '.join(sorted(missing))} after ten minutes; see ./ecg logs dag-processor")
            raise typer.Exit(1)
        time.sleep(0.5)


def follow_own_runs(api: "AirflowApi", dag: str, bars: "Progress", *, known: set[str], done: "Callable[[], bool]") -> None:
    """Follow the runs that a DAG starts by itself until its work is done; start one by hand if none comes.

    A large drop may be shared by several runs, and the next one starts some seconds after the last. What a run by hand leaves in the
    inbox waits for files that were not dropped.
    """
    followed: set[str] = set()
    by_hand = False
    deadline = time.monotonic() + _WATCHER_S
    while not (followed - known and done()):
        states = api.runs(dag)
        fresh = [run for run, state in states.items() if run not in followed and (run not in known or state in ("queued", "running"))]
        if not fresh:
            if time.monotonic() < deadline:
                time.sleep(0.3)
                continue
            if by_hand:
                return
            by_hand = True
            fresh = [api.trigger(dag)]
        run = fresh[-1]  # the oldest: they run one at a time
        followed.add(run)
        if runs.follow(api, dag, run, bars) != "success":
            complain(f"{dag} failed; see its run {run} in the web interface (./ecg open)")
            raise typer.Exit(1)
        deadline = time.monotonic() + _WATCHER_S


def _fetch_report(stack: "Stack", report: str) -> Path:
    """Copy the report's pages out of the bucket; returns its first page, to be opened in a browser."""
    from ecg_tasks.actions import access
    from ecg_tasks.queries.downloads import pages
    from ecg_tasks.queries.store import open_store

    *_, date, run, first = report.split("/")
    access.read_by_command("demo", run=f"{date}/{run}")
    target = stack.home.reports / run
    for path, data in pages(open_store(), report):
        page = target / path
        page.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        page.write_bytes(data)
    return target / first


def _tell_how_to_go_on(stack: "Stack") -> None:
    environment = stack.environment()
    describe(stack)
    if console().is_terminal:
        console().print(
            f"S3 credentials AWS_ACCESS_KEY_ID={environment['AWS_ACCESS_KEY_ID']} "
            f"AWS_SECRET_ACCESS_KEY={environment['AWS_SECRET_ACCESS_KEY']}"
        )
