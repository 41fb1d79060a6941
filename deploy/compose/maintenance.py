"""Here: what keeps the metadata and the tasks' logs from growing for ever, once a day. Not here: the containers' own logs.

Those the logging driver cuts. Nothing of the pipeline's own is ever deleted: only rows of Airflow's history and task logs.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

from deploy.compose.health import SWEEP_S, SWEPT


def sweep(before: datetime) -> None:
    """Delete Airflow's history, and logs in the bucket, from before a moment."""
    command = [sys.executable, "-m", "airflow", "db", "clean", "--clean-before-timestamp", before.isoformat(), "--skip-archive", "--yes"]
    subprocess.run(command, check=True)  # noqa: S603 - a fixed program
    print(f"deleted {delete_logs(before)} task logs from before {before:%Y-%m-%d}")  # noqa: T201 - the container's log


def delete_logs(before: datetime) -> int:
    """Delete task logs that were written before a moment; returns how many."""
    from ecg_tasks.archive import keys
    from ecg_tasks.archive.workspace import open_store

    store = open_store()
    old = [item.key for item in store.list_objects(keys.LOGS) if item.modified < before]
    store.delete_many(old)
    return len(old)


def main() -> None:
    """Sweep now and every day, or with ``--once`` now; a sweep that fails ends the container, which starts again."""
    keep = timedelta(days=float(os.environ["ECG_KEEP_DAYS"]))
    while True:
        sweep(datetime.now(UTC) - keep)
        SWEPT.touch()
        if sys.argv[1:] == ["--once"]:
            return
        time.sleep(SWEEP_S)


if __name__ == "__main__":
    main()
