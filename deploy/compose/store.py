"""Here: the object store in one container: the embedded stack's Swift, on a volume. Not here: its settings (``deploy.embedded``)."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path
from types import FrameType

from deploy.embedded import object_store
from deploy.embedded.home import Home, Ports, Secrets, write_private

FOLDER = Path("/opt/store")
PORTS = Ports(ui=0, control=0, postgres=0, store=8080, store_account=6202, store_container=6201, store_object=6200)
"""Only the proxy, which asks for the key, can be reached from outside of the container."""


def configure(folder: Path) -> Home:
    """Write the configuration from the environment, before every start; what is stored stays."""
    home = Home(folder)
    home.create()
    made = replace(
        Secrets.generate(),
        s3_access_key=os.environ["AWS_ACCESS_KEY_ID"],
        s3_secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
        swift_hash=os.environ["SWIFT_HASH"],
    )
    write_private(home.path / "secrets.json", json.dumps(asdict(made)))
    write_private(home.path / "ports.json", json.dumps(asdict(PORTS)))
    erase = os.environ.get("ECG_STORE_ERASE_KEY", "")
    object_store.configure(home, listen="0.0.0.0", erase=erase)  # noqa: S104 - of the container
    return home


def main() -> None:
    """Run the servers until one of them ends, or the container is stopped."""
    home = configure(FOLDER)
    servers = [subprocess.Popen(object_store.server_command(home, component)) for component in object_store.COMPONENTS]  # noqa: S603 - our own

    def stop(_number: int, _frame: FrameType | None) -> None:
        for server in servers:
            server.terminate()

    signal.signal(signal.SIGTERM, stop)
    ended, _status = os.wait()
    stop(signal.SIGTERM, None)
    for server in servers:
        if server.pid != ended:
            server.wait()
    sys.exit(f"a server of the store ended: process {ended}")


if __name__ == "__main__":
    main()
