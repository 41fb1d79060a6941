"""Here: what is done once before anything else starts: tables, pools, bucket, shipped models. Not here: anything that goes on running.

Safe to run at every start: what is there stays as it is.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

POOLS = Path(__file__).parents[1] / "pools.json"
OUR_STORE = "http://store:8080"
"""The store of ``docker-compose.yaml``, where the bucket is made; elsewhere it must be there."""
_PATIENCE_S = 120.0


def main() -> None:
    """Prepare Airflow's database and the bucket; the argument is the number of slots of the pool ``cpu``."""
    subprocess.run([sys.executable, "-m", "deploy.embedded.migrate", str(POOLS), sys.argv[1]], check=True)  # noqa: S603 - our own program
    ensure_bucket()
    from ecg_tasks.pipeline.preparation import prepare_bucket

    if os.environ.get("AWS_ENDPOINT_URL_S3") != OUR_STORE:
        warn_of_bucket()
    installed = prepare_bucket()
    print(f"ready; models put into the bucket: {', '.join(installed) or 'none, they were there'}")  # noqa: T201 - the container's log


def warn_of_bucket() -> None:
    """Tell what a bucket elsewhere does not do for what is written once."""
    from ecg_tasks.actions.bucket_check import lacks
    from ecg_tasks.archive.workspace import open_store

    for sentence in lacks(open_store()):
        print(f"warning: {sentence}", file=sys.stderr)  # noqa: T201 - the container's log


def ensure_bucket() -> None:
    """Make the bucket in our own store; find the one that is elsewhere."""
    from ecg_tasks.archive import keys
    from ecg_tasks.archive.workspace import open_store
    from ecg_tasks.errors import StoreError

    store = open_store()
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            if os.environ.get("AWS_ENDPOINT_URL_S3") == OUR_STORE:
                store.create_bucket()
            next(iter(store.list_objects(keys.MODELS)), None)
        except StoreError:
            if time.monotonic() > deadline:
                raise
            time.sleep(2)
        else:
            return


if __name__ == "__main__":
    main()
