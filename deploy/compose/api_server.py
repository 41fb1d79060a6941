"""Here: the first moment of the api-server: its one user's password goes where Airflow reads it. Not here: the other components.

They are started as plain ``airflow COMMAND``.
"""

import json
import os
import sys
from pathlib import Path

LOGIN = "admin"
PASSWORDS = Path("/opt/airflow/passwords.json")
"""In memory: the folder is a tmpfs."""


def write_password(password: str, file: Path = PASSWORDS) -> None:
    """Write the file that Airflow's SimpleAuthManager reads, for this user alone to read."""
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        json.dump({LOGIN: password}, handle)


def main() -> None:
    """Become the api-server; the password does not stay in its environment."""
    write_password(os.environ.pop("ECG_ADMIN_PASSWORD"))
    command = [sys.executable, "-m", "airflow", "api-server", "--host", "0.0.0.0", "--port", "8080"]  # noqa: S104 - of the container
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
