"""Here: the object store's packages, in their own virtual environment. Not here: the servers (``object_store``).

The image of the distributed stack has them in it, and not what this module needs.
"""

import fcntl
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.embedded import processes
from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT
from deploy.embedded.object_store import ENVIRONMENT

LOCK = CHECKOUT / "locks" / "objectstore.txt"


def ensure_installed() -> None:
    """Make the virtual environment when it is missing, incomplete, or older than its lock.

    Raises
    ------
    StackError
        If they cannot be installed, or this is no Linux: one of them has no wheel elsewhere, and a backup would lose what Swift keeps in
        extended attributes, which Python reads on Linux alone.
    """
    if sys.platform != "linux":
        raise StackError("the included object store needs Linux: set ECG_BUCKET and the AWS variables to a bucket elsewhere, or use Docker")
    stamp = ENVIRONMENT / "installed-lock.txt"
    wanted = LOCK.read_text()
    with _installing():
        if stamp.exists() and stamp.read_text() == wanted:
            return
        if processes.run_from(ENVIRONMENT):
            raise StackError(
                f"{LOCK.name} asks for other packages than those in {ENVIRONMENT}, and the object store of another stack of this checkout "
                "runs from them. Nothing was changed. Stop that stack first, with its ECG_HOME: ./ecg down"
            )
        shutil.rmtree(ENVIRONMENT, ignore_errors=True)
        uv = shutil.which("uv") or shutil.which("uv", path=str(CHECKOUT / ".venv-setup" / "uv" / "bin"))
        python = str(ENVIRONMENT / "bin" / "python")
        requirements = ["--require-hashes", "-r", str(LOCK)]
        if uv:
            _install([uv, "venv", "--quiet", "--python", sys.executable, str(ENVIRONMENT)])
            _install([uv, "pip", "install", "--quiet", "--python", python, *requirements])
        else:
            _install([sys.executable, "-m", "venv", str(ENVIRONMENT)])
            _install([python, "-m", "pip", "install", "--quiet", *requirements])
        stamp.write_text(wanted)


def _install(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed programs, and no shell
    if done.returncode != 0:
        raise StackError(f"the object store could not be installed ({' '.join(command[:3])} …); check the network\n{done.stderr.strip()}")


@contextmanager
def _installing() -> Iterator[None]:
    folder = CHECKOUT / ".venv-setup"
    folder.mkdir(exist_ok=True)
    with (folder / "objectstore.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
