"""Here: finding and ending every process of a stack, whatever its parent is by now. Not here: starting them (``supervision``)."""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from deploy.embedded.home import Home

_STACK = "ECG_STACK"
_COMPONENT = "ECG_COMPONENT"
MARKS = (_STACK, _COMPONENT)


def marks(home: Home, component: str) -> dict[str, str]:
    """Return the variables by which a process and all its descendants are known again.

    ``SPT_NOENV`` keeps ``setproctitle``, which Airflow uses, from writing over them.
    """
    return {_STACK: str(home), _COMPONENT: component, "SPT_NOENV": "1"}


def of_stack(home: Home) -> list[psutil.Process]:
    """Return every process of the stack, the supervisor among them."""
    return [process for process in _others() if _marks_of(process)[0] == str(home) or _is_postgres(process, home)]


def of_component(home: Home, component: str) -> list[psutil.Process]:
    """Return every process of one component."""
    if component == "postgres":
        return [process for process in _others() if _is_postgres(process, home)]
    return [process for process in _others() if _marks_of(process) == (str(home), component)]


def run_from(environment: Path) -> list[psutil.Process]:
    """Return every process whose program lies in a virtual environment, whatever the stack."""
    programs = f"{environment / 'bin'}/"
    return [process for process in _others() if any(word.startswith(programs) for word in _command_of(process)[:1])]


def busy_workers(home: Home) -> list[psutil.Process]:
    """Return the workers of Airflow's executor that run a task, as their titles tell."""
    titles = [(process, " ".join(_command_of(process))) for process in of_component(home, "scheduler")]
    return [process for process, title in titles if title.startswith("airflow worker -- LocalExecutor") and "<idle>" not in title]


def end(processes: Sequence[psutil.Process], *, grace_s: float) -> None:
    """Ask processes to stop, and kill those that still run after ``grace_s`` seconds.

    Before they are killed all of them are halted, so that none sees another die: a task's supervisor would report a failure.
    """
    if grace_s > 0:
        for process in processes:
            _try(process.terminate)
        _gone, processes = psutil.wait_procs(processes, timeout=grace_s)
    for action in ("suspend", "kill"):
        for process in processes:
            _try(getattr(process, action))
    psutil.wait_procs(processes, timeout=5)


def _others() -> list[psutil.Process]:
    """Return all processes but this one and its ancestors."""
    process: psutil.Process | None = psutil.Process()
    own = set()
    with contextlib.suppress(psutil.NoSuchProcess):  # where one ends meanwhile, those above it are no ancestors any more
        while process is not None:
            own.add(process.pid)
            process = process.parent()
    return [process for process in psutil.process_iter() if process.pid not in own]


def _command_of(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except (psutil.Error, OSError):
        return []


def _marks_of(process: psutil.Process) -> tuple[str | None, str | None]:
    try:
        environment = process.environ()
    except (psutil.Error, OSError):
        return None, None
    return environment.get(_STACK), environment.get(_COMPONENT)


def _is_postgres(process: psutil.Process, home: Home) -> bool:
    """Return whether it works in PostgreSQL's data folder, as all its processes do: they write their title over their environment."""
    try:
        return bool(process.name() == "postgres" and process.cwd() == os.fspath(home.postgres))
    except (psutil.Error, OSError):
        return False


def _try(action: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        action()
