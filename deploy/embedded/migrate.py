"""Here: bringing Airflow's database to the tables of the installed version, and its pools; a separate process, run by ``airflow``.

Not here: when that is needed. One import of Airflow (four seconds) does both, and the pools stand before the first task is scheduled.
"""

import json
import sys
from pathlib import Path

from airflow.models.pool import Pool
from airflow.utils.db import initdb


def main() -> None:
    """Migrate the database, and make the pools that are not there yet; those that are keep what was set in the web interface."""
    initdb()
    cpu_slots = int(sys.argv[2])
    for name, pool in json.loads(Path(sys.argv[1]).read_text()).items():
        if Pool.get_pool(name) is None:
            Pool.create_or_update_pool(name, **(pool | {"slots": cpu_slots} if name == "cpu" else pool))


if __name__ == "__main__":
    main()
