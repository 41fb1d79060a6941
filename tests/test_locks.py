"""The locks pin everything with hashes, name no index, and agree with one another."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from tests.platforms import MACHINES, NOWHERE_ON, WITHOUT_WHEEL

ROOT = Path(__file__).parents[1]
LOCKS = sorted((ROOT / "locks").glob("*.txt"))


def pins(name: str) -> dict[str, str]:
    """Package to version of one lock."""
    return dict(re.findall(r"^([a-z0-9][a-z0-9._-]*)==([^ ;\\\n]+)", (ROOT / "locks" / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.name)
def test_every_pin_has_a_hash_and_no_address(lock):
    """Each requirement is an exact version with hashes; no line carries an index, a link or a path."""
    text = lock.read_text()
    assert not re.search(r"://|--(extra-)?index-url|--find-links|file:", text)
    requirements = [entry for entry in re.split(r"\n(?=\S)", text.strip()) if not entry.startswith("#")]
    assert len(requirements) > 10
    for entry in requirements:
        assert re.match(r"[a-z0-9][a-z0-9._-]*==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


def test_cpu_gpu_and_test_sets_come_from_one_source():
    """What the sets share has one version; CPU and GPU differ in TensorFlow's package and NVIDIA's libraries only."""
    cpu, gpu, dev = pins("cpu.txt"), pins("gpu.txt"), pins("dev.txt")
    assert cpu.items() <= dev.items()
    assert {name for name in cpu.keys() ^ gpu.keys() if not name.startswith("nvidia-")} == {"tensorflow-cpu"}
    assert all(cpu[name] == gpu[name] for name in cpu.keys() & gpu.keys())


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_each_machine_gets_one_tensorflow(machine):
    """`tensorflow-cpu` has wheels for x86-64 only: elsewhere the same lock brings `tensorflow`, of the same version."""
    wanted = "tensorflow-cpu" if machine.markers["platform_machine"] == "x86_64" else "tensorflow"
    for lock in ("cpu.txt", "dev.txt"):
        lines = re.findall(r"^tensorflow(?:-cpu)?==[^\\\n]*", (ROOT / "locks" / lock).read_text(), re.MULTILINE)
        requirements = [Requirement(line) for line in lines]
        there = [one.name for one in requirements if one.marker is None or one.marker.evaluate(machine.markers)]
        assert there == [wanted]
        assert len({str(one.specifier) for one in requirements}) == 1


def test_what_has_no_wheel_somewhere_is_locked():
    """`python -m tests.platforms` resolves the locks as they are: it excuses no package and no lock that is not there."""
    machines = {machine.name for machine in MACHINES}
    for name, (lock, where, _) in WITHOUT_WHEEL.items():
        assert name in pins(f"{lock}.txt")
        assert set(where) <= machines
    assert {(ROOT / "locks" / f"{lock}.txt").exists() for lock in NOWHERE_ON} == {True}


def test_every_direct_dependency_is_locked():
    """A dependency that is added to pyproject.toml and not locked is noticed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["cpu"], *project["optional-dependencies"]["dev"]]
    names = {re.match(r"[A-Za-z0-9._-]+", requirement).group(0).lower() for requirement in wanted}
    assert names <= pins("dev.txt").keys()
