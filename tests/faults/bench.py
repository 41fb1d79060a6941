"""Here: what is broken: an embedded stack, its object store in a state folder of its own, and the proxy between them.

Not here: what runs on it (``night``), or how it is broken (``breaks``).
"""

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.embedded import bucket, health, object_store, processes, store_packages, supervision
from deploy.embedded.home import Home
from ecg_tasks.archive.object_store import ObjectStore
from tests.faults.clock import Clock
from tests.faults.disks import Disks
from tests.faults.proxy import Proxy
from tests.stacks import fresh_stack

PATIENCE_S = 600.0
"""For anything that comes by itself."""


class Bench:
    """One stack, its store and the proxy. ``store`` goes to the store directly."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.disks = Disks(folder)
        self.clock = Clock(folder / "clock")
        self.stack = fresh_stack(folder / "home")
        self.store_home = Home(folder / "objects")

    def up(self, *, own_clock: Collection[str] = (), own_disks: bool = False) -> None:
        """Start all; ``own_clock``: of ``airflow`` and ``store``, those that go by the bench's own clock; ``own_disks``: on small disks."""
        if own_disks:
            self.disks.mount()
            self.stack = fresh_stack(self.folder / "home")  # on its disk
        with _set(self.clock.variables() if "store" in own_clock else {}):
            self._store_up()
        self.proxy = Proxy(self.store_home.ports().store)
        seen = {name: value for name, value in bucket.environment(self.store_home).items() if name.startswith(("AWS_", "ECG_"))}
        self.temp.mkdir(exist_ok=True)
        clock = self.clock.variables() if "airflow" in own_clock else {}
        seen |= {"ECG_KEEP_NAMES": "1", "ECG_RAW_KEEPS": "as_dropped"}  # its checks tell recordings by their names and bytes
        with _set(seen | {"AWS_ENDPOINT_URL_S3": self.proxy.url, "TMPDIR": str(self.temp)} | clock):
            self.stack.up()
        os.environ.update(seen | {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"})
        self.store = ObjectStore.connect(seen["ECG_BUCKET"])

    def down(self) -> None:
        """Stop all; no process is left."""
        self.stack.down()
        if self.store_home.path.exists():
            supervision.shut_down(self.store_home, timeout_s=60)
            processes.end(processes.of_stack(self.store_home), grace_s=5)
        self.disks.unmount()

    @property
    def temp(self) -> Path:
        """Folder for temporary files of all components."""
        return self.folder / "temp"

    def home_of(self, component: str) -> Home:
        """State folder whose supervisor runs a component."""
        return self.store_home if component in object_store.COMPONENTS else self.stack.home

    def is_healthy(self) -> bool:
        """Whether every component runs and answers."""
        states = supervision.states(self.store_home)
        return all(states.get(name) == "RUNNING" for name in object_store.COMPONENTS) and not self._hangs() and self.stack.status().healthy

    def _hangs(self) -> bool:
        """Whether a part of the store is halted."""
        return bool(health.halted(supervision.pids(self.store_home)))

    def empty(self) -> None:
        """A bucket as it is after the installation, and a proxy that knows of nothing."""
        from ecg_tasks.pipeline.champions.seed import install_champions

        self.store.delete_many(self.store.list_keys(""))
        install_champions()
        self.proxy.forget()

    def _store_up(self) -> None:
        home = self.store_home
        home.create()
        home.ports()
        store_packages.ensure_installed()
        object_store.configure(home)
        supervision.write_configuration(home)
        supervision.start(home)
        supervision.start_components(home, [*object_store.COMPONENTS, supervision.GUARDIAN])
        bucket.ensure(home)


@contextmanager
def opened(*, own_clock: Collection[str] = (), own_disks: bool = False) -> Iterator[Bench]:
    """A bench in a fresh folder, which is removed at the end, with the caller's environment as it was. No tracer slows its stack down."""
    folder = Path(tempfile.mkdtemp(prefix="ecg-faults-"))
    with _set({}):
        for name in [name for name in os.environ if name.startswith(("AWS_", "ECG_", "AIRFLOW__", "COVERAGE_"))]:
            del os.environ[name]
        bench = Bench(folder)
        try:
            bench.up(own_clock=own_clock, own_disks=own_disks)
            yield bench
        finally:
            bench.down()
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _set(variables: Mapping[str, str]) -> Iterator[None]:
    """More environment for a while; afterwards it is as it was before."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def wait_until(condition: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
    """Wait for something; `TimeoutError` with ``what`` if it does not come."""
    began = time.monotonic()
    while not condition():
        waited_s = time.monotonic() - began
        if waited_s > patience_s:
            raise TimeoutError(f"{what} did not come within {patience_s:.0f} s")
        time.sleep(min(max(0.5, waited_s / 10), 2))  # to ask how a stack is takes half a second of a core
