"""Here: an S3 server for the time of a benchmark: the embedded stack's own, by itself. Not here: what is kept in it."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import requests

from benchmarks.processes import CHECKOUT

PATIENT_KEY = "a key that protects nobody: all patients here are imaginary"
_START_S = 60.0


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running S3 server: what it is, and the variables that lead to it."""

    name: str
    environment: dict[str, str]


@contextmanager
def s3_server() -> Iterator[Server]:
    """Start OpenStack Swift as the embedded stack does, on an empty disk, or moto's server where Swift cannot be installed or started."""
    from deploy.embedded.errors import StackError

    with ExitStack() as running:
        try:
            server = running.enter_context(_swift())
        except StackError as error:
            server = running.enter_context(_moto(str(error)))
        yield server


@contextmanager
def _swift() -> Iterator[Server]:
    from deploy.embedded import bucket, object_store, store_packages
    from deploy.embedded.home import Home

    store_packages.ensure_installed()
    with ExitStack() as running:
        # beside the stack's own state: there the file system is known to keep what Swift needs
        Home().path.mkdir(mode=0o700, parents=True, exist_ok=True)
        home = Home(running.enter_context(tempfile.TemporaryDirectory(prefix="bench-", dir=Home().path)))
        home.create()
        object_store.configure(home)
        for component in object_store.COMPONENTS:
            running.enter_context(_process([sys.executable, "-m", "deploy.embedded.start", str(home), component]))
        bucket.ensure(home)
        secrets = home.secrets()
        yield Server(
            name="OpenStack Swift, as in the embedded stack",
            environment=_variables(object_store.endpoint(home), secrets.s3_access_key, secrets.s3_secret_key),
        )


@contextmanager
def _moto(why: str) -> Iterator[Server]:
    from deploy.embedded.home import choose_ports

    port = choose_ports({}).store
    with _process([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]):
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + _START_S
        while True:
            try:
                requests.get(address, timeout=5)
                break
            except requests.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield Server(name=f"moto's server, in memory (no Swift: {why})", environment=_variables(address, "bench", "bench"))


def _variables(endpoint: str, access_key: str, secret_key: str) -> dict[str, str]:
    return {
        "AWS_ENDPOINT_URL_S3": endpoint,
        "AWS_ACCESS_KEY_ID": access_key,
        "AWS_SECRET_ACCESS_KEY": secret_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "ECG_PATIENT_KEY": PATIENT_KEY,
    }


@contextmanager
def _process(command: Sequence[str]) -> Iterator[None]:
    running = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - our own, no shell
    try:
        yield
    finally:
        running.terminate()
        try:
            running.wait(timeout=10)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
