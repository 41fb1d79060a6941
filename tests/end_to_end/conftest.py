"""Here: the stacks that whole runs share, driven as a person does. Not here: what a single component promises (``tests/deploy``).

A start of a stack costs most of a minute of a core, so the files of a chain (their mark ``chain``) share one stack and run in their
order, in one process: ``test_backup``, ``test_demo``, ``test_roles``, ``test_ui``; and ``test_queue``, ``test_real_recordings``,
``test_stack``, ``test_stack_forgets``, ``test_stranger``. Each file also runs alone.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
PATIENCE_S = 600.0
"""For anything that comes by itself; seconds are usual. Other tests keep the cores busy meanwhile."""


@dataclass(frozen=True, kw_only=True)
class Chain:
    """The stack of a chain, and what was done on it already: a word for it to what was printed."""

    stack: object
    done: dict[str, str] = field(default_factory=dict)


MEASUREMENT = os.environ.get("ECG_COVERAGE_FOLDER", "")
"""Where coverage is asked for, the commands of a test are measured, and no stack: it runs what other tests run, twice as long."""
_CHAINS: dict[str, Chain] = {}


def _name(item) -> str:
    """Name of the chain that a test belongs to; empty for tests of other folders."""
    mark = item.get_closest_marker("chain") if item is not None else None
    return str(mark.args[0]) if mark else ""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item, nextitem):
    """Stop and remove the stack of a chain after its last test: it would keep the cores busy while others are tested."""
    yield
    name = _name(item)
    if name in _CHAINS and name != _name(nextitem):
        remove(_CHAINS.pop(name).stack)


def pytest_sessionfinish():
    """Stop and remove what is left where somebody broke the tests off."""
    while _CHAINS:
        remove(_CHAINS.popitem()[1].stack)


def remove(stack) -> None:
    """Stop a stack and remove its state; what of it still runs is ended."""
    try:
        stack.down()
    finally:
        shutil.rmtree(stack.home.path.parent, ignore_errors=True)


@pytest.fixture(scope="module")
def chain(request, clean_environment):
    """The chain of this file; its stack has a fresh state folder at first. The environment names it until the file is done."""
    from tests.stacks import fresh_stack

    name = request.node.get_closest_marker("chain").args[0]
    if name not in _CHAINS:
        _CHAINS[name] = Chain(stack=fresh_stack(Path(tempfile.mkdtemp(prefix="ecg-e2e-")) / "home"))
    before = dict(os.environ)
    os.environ["ECG_HOME"] = str(_CHAINS[name].stack.home)
    os.environ |= {"ECG_KEEP_NAMES": "1", "ECG_RAW_KEEPS": "as_dropped"}  # these tests tell recordings by their names and bytes
    for variable in [variable for variable in os.environ if variable.startswith("COVERAGE_")]:
        del os.environ[variable]
    yield _CHAINS[name]
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture(scope="module")
def stack(chain):
    """The stack of the chain; whether it is up is for the test to see to."""
    return chain.stack


def _measured() -> list[str]:
    """What lets Python measure a module that it runs, and nothing that this starts."""
    if not MEASUREMENT:
        return []
    files = ",".join(str(CHECKOUT / folder / "*") for folder in ("deploy", "ecg_tasks"))
    return ["coverage", "run", "--rcfile=", "--branch", "--parallel-mode", f"--data-file={MEASUREMENT}/data", f"--include={files}", "-m"]


@pytest.fixture(scope="module")
def try_ecg(stack):
    """Run a command of the launcher's command line against this stack, as a person does; however it ends."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-P", "-m", *_measured(), "ecg_tasks.cli", *map(str, arguments)]
        environment = os.environ | {"PYTHONPATH": str(CHECKOUT), "BROWSER": "true"}
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=CHECKOUT)

    return run


@pytest.fixture(scope="module")
def ecg(try_ecg):
    """Run a command that must succeed; returns what it printed."""

    def run(*arguments: str) -> str:
        done = try_ecg(*arguments)
        assert done.returncode == 0, f"{' '.join(map(str, arguments))}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        return done.stdout

    return run


@pytest.fixture(scope="module")
def account(chain, ecg):
    """Maker of an account of a role on the running stack, once a chain; returns its password."""

    def make(name: str, role: str) -> str:
        if f"account {name}" not in chain.done:
            printed = ecg("users", "add", name, "--role", role, "--make")
            chain.done[f"account {name}"] = printed.strip().rpartition(" ")[2]
        return chain.done[f"account {name}"]

    return make


@pytest.fixture(scope="module")
def objects(stack):
    """Context manager: the stack's bucket. Outside of it no command sees its address, or a start would take it for a bucket elsewhere."""

    @contextmanager
    def opened() -> Iterator:
        from ecg_tasks.archive.workspace import open_store

        with pytest.MonkeyPatch.context() as patch:
            for name, value in stack.environment().items():
                patch.setenv(name, value)
            yield open_store()

    return opened


@pytest.fixture(scope="module")
def demo(chain, stack, ecg):
    """What ``./ecg demo --stop`` printed: once a chain, and the stack is down afterwards; what came later may have started it again."""
    if "demo" not in chain.done:
        printed = ecg("demo", "--stop")
        assert not stack.is_up()
        chain.done["local report"] = "".join(map(str, stack.home.reports.glob("*/index.html")))
        chain.done["demo"] = printed
    return chain.done["demo"]


@pytest.fixture(scope="session")
def data():
    """Function that gives the data in a bucket: every object that is no account, no report and no state of a run, with its ETag."""
    from ecg_tasks.archive import keys

    kinds = (keys.RAW, keys.RECORDS, keys.RECORD_INDEX, keys.ALIASES, keys.LABELS, keys.SPECTROGRAMS, keys.DATASETS, keys.MODELS)
    kinds += (keys.PREDICTIONS, keys.QUARANTINE)
    return lambda store: {item.key: item.etag for kind in kinds for item in store.list_objects(kind)}


@pytest.fixture(scope="session")
def wait_until() -> Callable[..., None]:
    """Wait for something that comes by itself; the test fails with ``what`` when it does not come."""

    def wait(condition: Callable[[], object], what: str, *, patience_s: float = PATIENCE_S) -> None:
        began = time.monotonic()
        while not condition():
            waited_s = time.monotonic() - began
            assert waited_s < patience_s, f"{what} did not come within {patience_s:.0f} s"
            time.sleep(min(max(0.5, waited_s / 10), 2))  # to ask how a stack is takes a fifth of a second of a core

    return wait
