"""Here: ``python -m tests.platforms``: whether each lock resolves with wheels alone, for each machine and Python. Not here: their text.

uv asks the package index as ``./ecg setup`` would on that machine. What has no wheel there stands in `WITHOUT_WHEEL`, with what is done
without it; the command fails too where such a wheel has come.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import product
from pathlib import Path

ROOT = Path(__file__).parents[1]
PYTHONS = ("3.11", "3.12", "3.13")


@dataclass(frozen=True)
class Machine:
    """Where packages are installed: its name for people, for uv, and as markers of requirements know it."""

    name: str
    target: str
    markers: dict[str, str]


MACHINES = (
    Machine("Linux, x86-64", "x86_64-unknown-linux-gnu", {"sys_platform": "linux", "platform_machine": "x86_64"}),
    Machine("Linux, arm64", "aarch64-unknown-linux-gnu", {"sys_platform": "linux", "platform_machine": "aarch64"}),
    Machine("macOS 14, arm64", "aarch64-apple-darwin", {"sys_platform": "darwin", "platform_machine": "arm64"}),
)
WITHOUT_WHEEL = {
    # package: its lock, machines and Pythons
    "pyeclib": ("objectstore", ("macOS 14, arm64",), PYTHONS),  # so no object store comes along there: deploy/embedded/store_packages.py
    "pyedflib": ("dev", ("Linux, x86-64", "macOS 14, arm64"), ("3.13",)),  # built from its source; a comparison among the tests needs it
}
NOWHERE_ON = {"gpu": "macOS 14, arm64"}
"""Locks that a machine has no use for: NVIDIA's libraries."""


def missing(lock: str, machine: Machine, python: str) -> set[str]:
    """Return the packages of a lock that are known to have no wheel there, from `WITHOUT_WHEEL`."""
    return {
        name for name, (its, machines, pythons) in WITHOUT_WHEEL.items() if lock == its and machine.name in machines and python in pythons
    }


def fault(uv: str, lock: str, machine: Machine, python: str) -> str:
    """Return what is wrong with a lock there; nothing where every package has a wheel, but those that are known to have none."""
    known = missing(lock, machine, python)
    if known and not _resolve(uv, lock, machine, python, without=set()):
        return f"{', '.join(sorted(known))} has a wheel by now: take it out of WITHOUT_WHEEL"
    return _resolve(uv, lock, machine, python, without=known)


def _resolve(uv: str, lock: str, machine: Machine, python: str, *, without: set[str]) -> str:
    kept, keeps = [], True
    for line in (ROOT / "locks" / f"{lock}.txt").read_text().splitlines():
        if line[:1].strip():
            keeps = line.partition("==")[0] not in without
        if keeps:
            kept.append(line)
    only_wheels = ["--only-binary", ":all:", "--no-deps"]
    done = subprocess.run(
        [uv, "pip", "compile", "-", "--quiet", *only_wheels, "--python-version", python, "--python-platform", machine.target],
        input="\n".join(kept),
        env=os.environ | {"MACOSX_DEPLOYMENT_TARGET": "14.0"},  # onnxruntime has none for an older one
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join(done.stderr.split()) if done.returncode else ""


def main() -> None:
    """Resolve all of them, a line each; end with 1 where one does not."""
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".venv-setup" / "uv" / "bin"))
    if uv is None:
        sys.exit("uv is not there: ./ecg setup installs it")
    asked = [
        (lock, machine, python)
        for lock, machine, python in product(("cpu", "gpu", "objectstore", "dev"), MACHINES, PYTHONS)
        if NOWHERE_ON.get(lock) != machine.name
    ]
    faults = 0
    with ThreadPoolExecutor(4) as several:  # they wait for the index most of the time
        for (lock, machine, python), found in zip(asked, several.map(lambda one: fault(uv, *one), asked), strict=True):
            faults += bool(found)
            known = ", ".join(sorted(missing(lock, machine, python)))
            said = found or (f"all but {known}" if known else "all")
            print(f"{lock:12} {machine.name:16} {python}  {said}", flush=True)  # noqa: T201
    sys.exit(min(faults, 1))


if __name__ == "__main__":
    main()
