"""Here: whether the component of this container works, by the cheapest question that tells. Not here: what is done about it.

``python -m deploy.compose.health`` asks about the component that ``ECG_COMPONENT`` names and ends with 0 if it is well.
Airflow's own commands for this import all of Airflow, four seconds of a core every time.
"""

import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import urlopen

SWEPT = Path("/tmp/swept")  # noqa: S108 - a tmpfs of this container alone
"""Touched by `deploy.compose.maintenance` after each sweep."""
SWEEP_S = 24 * 3600

_LATE_S = 60
"""A heartbeat comes every five seconds; a component that loads or swaps may miss some."""


def answers(url: str) -> None:
    """Check that a server answers with 200."""
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - a fixed address in this container
        answer.read()


def beats(job_type: str) -> None:
    """Check that the component of this container wrote its heartbeat into Airflow's database within the last minute."""
    import psycopg

    url = urlparse(os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"])
    conninfo = url._replace(scheme="postgresql").geturl()
    question = (
        "select min(extract(epoch from now() - latest_heartbeat)) from job where job_type = %s and hostname = %s and state = 'running'"
    )
    with psycopg.connect(conninfo, connect_timeout=10) as connection:
        found = connection.execute(question, [job_type, socket.gethostname()]).fetchone()
    late_s = found[0] if found else None
    if late_s is None or late_s > _LATE_S:
        raise RuntimeError(f"the last heartbeat of {job_type} is {late_s} s old")


def consumes() -> None:
    """Check that the Celery worker of this container answers through the broker."""
    from celery import Celery  # type: ignore[import-untyped]

    name = f"celery@{socket.gethostname()}"
    with Celery(broker=os.environ["AIRFLOW__CELERY__BROKER_URL"]) as app:
        if not app.control.ping(destination=[name], timeout=10, limit=1):
            raise RuntimeError(f"{name} does not answer")


def swept() -> None:
    """Check that the maintenance swept when it was due."""
    age_s = time.time() - SWEPT.stat().st_mtime
    if age_s > SWEEP_S + 3600:
        raise RuntimeError(f"the last sweep was {age_s:.0f} s ago")


CHECKS: dict[str, Callable[[], None]] = {
    "api-server": lambda: answers("http://127.0.0.1:8080/api/v2/monitor/health"),
    "scheduler": lambda: answers("http://127.0.0.1:8974/health"),
    "dag-processor": lambda: beats("DagProcessorJob"),
    "triggerer": lambda: beats("TriggererJob"),
    "worker": consumes,
    "maintenance": swept,
    "store": lambda: answers("http://127.0.0.1:8080/healthcheck"),
}
"""Component -> the question; it raises if the answer is bad."""


if __name__ == "__main__":
    try:
        CHECKS[os.environ["ECG_COMPONENT"]]()
    except Exception as error:  # noqa: BLE001 - whatever it is, it goes into `docker inspect`
        sys.exit(f"{type(error).__name__}: {error}")
