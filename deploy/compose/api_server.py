"""Here: the first moment of the api-server: the roles and the first administrator are made if they are missing. Not here: other components.

They are started as plain ``airflow COMMAND``.
"""

import os
import subprocess
import sys

LOGIN = "admin"


def main() -> None:
    """Become the api-server; the password does not stay in its environment."""
    password = os.environ.pop("ECG_ADMIN_PASSWORD")
    subprocess.run([sys.executable, "-m", "deploy.accounts", "first", LOGIN], input=password.encode(), check=True)  # noqa: S603 - our own program
    command = [sys.executable, "-m", "airflow", "api-server", "--host", "0.0.0.0", "--port", "8080"]  # noqa: S104 - of the container
    os.execv(sys.executable, command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main()
