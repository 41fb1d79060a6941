"""Here: ``run``, and following runs of DAGs while they work. Not here: the DAGs, or which runs the demonstration needs (``demo``)."""

import json
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ecg_tasks.cli import completion
from ecg_tasks.cli.stack import running_stack
from ecg_tasks.cli.terminal import LINE_S, complain, console, for_a_program, pace, say
from ecg_tasks.errors import offer
from ecg_tasks.names import OLD_FIELDS, DagId

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.progress import Progress

    from deploy.embedded.airflow_api import AirflowApi

_DONE = {"success", "failed", "skipped", "upstream_failed", "removed"}
_POLL_S, _MOST_S = 1.0, 3.0
"""Seconds between two looks at a run, at first and after a minute: each look is two questions that cost the api-server some 50 ms."""


def run(
    dag: Annotated[
        str,
        typer.Argument(
            help="The name of its file in dags/, such as classify_records or maintain_store.", autocompletion=completion.one_of(DagId)
        ),
    ],
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Show its progress until it ends, then its note; exits with 1 if it failed.")
    ] = False,
    conf: Annotated[str, typer.Option(help="The form of the run as JSON; default: the DAG's own values.", metavar="JSON")] = "{}",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON: dag, run, state, note.")] = False,
) -> None:
    """Start a run of a DAG."""
    try:
        values = json.loads(conf)
    except ValueError as error:
        complain(f"--conf is not JSON: {error}")
        raise typer.Exit(2) from error
    if not isinstance(values, dict):
        complain(f"--conf must be a JSON object, not {conf}")
        raise typer.Exit(2)
    with for_a_program(as_json) as answer:
        with running_stack().airflow() as api:
            _check(api, dag, values)
            started = api.trigger(dag, values)
            say(f"{dag} was started: {started}")
            if wait:
                with progress() as bars:
                    state = follow(api, dag, started, bars)
            else:
                state = api.run_state(dag, started) if as_json else ""
            note = api.note(dag, started) if wait else ""
        if note:
            say(note)
        if as_json:
            answer({"dag": dag, "run": started, "state": state, "note": note})
        if wait and state != "success":
            complain(f"{dag} {started} {state}; its tasks and their logs are in the web interface (./ecg open)")
            raise typer.Exit(1)


def _check(api: "AirflowApi", dag: str, values: "Mapping[str, Any]") -> None:
    """Refuse a DAG or a field that is not there, before a run of it is; Airflow itself refuses wrong values then."""
    if dag not in (there := api.dags()):
        complain(f"there is no DAG {dag!r}{offer(dag, there)}")
        raise typer.Exit(2)
    fields = api.fields(dag)
    allowed = {*fields, *(old for new, old in OLD_FIELDS.items() if new in fields)}
    for name in values:
        if name not in allowed:
            complain(f"{dag} has no field {name!r} in its form{offer(name, fields)}")
            raise typer.Exit(2)


@contextmanager
def progress() -> "Iterator[Progress]":
    """Show one line a DAG run: how many of its tasks are done, and which one works."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description:<20}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    with Progress(*columns, console=console(), disable=not console().is_terminal) as bars:
        yield bars


def _done_by_task(tasks: "Sequence[tuple[str, str]]") -> Counter[str]:
    return Counter(task for task, state in tasks if state in _DONE)


def _pace_of_parts(tasks: "Sequence[tuple[str, str]]", before: Counter[str], taken_s: float) -> str:
    """Return rate and time left of the parts of a task that works; empty where it has one, or none was done meanwhile.

    Tasks that do other things say nothing about one another.

    >>> _pace_of_parts([("work", "success"), ("work", "running"), ("work", "none"), ("end", "none")], Counter(), 30.0)
    ', work at 2.0 a minute, 1 min 0 s left'
    >>> _pace_of_parts([("plan", "success"), ("train", "running"), ("evaluate", "none")], Counter(), 30.0)
    ''
    """
    n_parts, done = Counter(task for task, _ in tasks), _done_by_task(tasks)
    for task in sorted({task for task, state in tasks if state == "running" and n_parts[task] > 1}):
        if done[task] > before[task]:
            return f", {task} at {pace(done[task] - before[task], n_parts[task] - before[task], taken_s)}"
    return ""


def follow(api: "AirflowApi", dag: str, run_id: str, bars: "Progress") -> str:
    """Show a run until it ends; returns ``success`` or ``failed``.

    A log has the rate and the time left where a task has several parts that are alike, from those that were done meanwhile.
    """
    bar = bars.add_task(dag, total=None, doing="")
    shown = ""
    began = told = time.monotonic()
    before: Counter[str] | None = None
    while True:
        state = api.run_state(dag, run_id)
        tasks = api.task_states(dag, run_id)
        before = _done_by_task(tasks) if before is None else before
        working = sorted({task for task, task_state in tasks if task_state == "running"})
        finished = state in ("success", "failed")
        doing = state if finished else ", ".join(working) or "waits for its turn"
        n_done = sum(task_state in _DONE for _task, task_state in tasks)
        bars.update(bar, total=len(tasks) or None, completed=n_done, doing=doing)
        now = time.monotonic()
        if not console().is_terminal and (doing != shown or now - told >= LINE_S):  # a log shows no bars that move
            rate = "" if finished else _pace_of_parts(tasks, before, now - began)
            console().print(f"{dag}: {doing} ({n_done} of {len(tasks)} tasks done{rate})")
            shown, told = doing, now
        if finished:
            return state
        time.sleep(min(_POLL_S + (time.monotonic() - began) / 30, _MOST_S))
