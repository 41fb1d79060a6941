"""Here: bringing Airflow's database to the tables of the installed version, its pools and its first administrator; run by ``airflow``.

Not here: when that is needed. One import of Airflow (four seconds) does all, and the pools stand before the first task is scheduled.
"""

import json
import sys
from pathlib import Path

from airflow.models.pool import Pool
from airflow.utils.db import initdb


def main() -> None:
    """Migrate the database, and make the pools and the administrator that are not there yet; those that are stay as people set them.

    The arguments are the file of pools, the slots of the pool ``cpu`` and, if one is wanted, the administrator's name, whose
    password comes in.
    """
    initdb()
    cpu_slots = int(sys.argv[2])
    for name, pool in json.loads(Path(sys.argv[1]).read_text()).items():
        if Pool.get_pool(name) is None:
            Pool.create_or_update_pool(name, **(pool | {"slots": cpu_slots} if name == "cpu" else pool))
    for login in sys.argv[3:]:
        from deploy.accounts.people import opened

        with opened() as people:
            people.ensure_admin(login, sys.stdin.read())


if __name__ == "__main__":
    main()
