"""The locks pin everything with hashes, name no index, and agree with one another."""

import re
import tomllib
from pathlib import Path

import pytest

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
    assert {name for name in cpu.keys() ^ gpu.keys() if not name.startswith("nvidia-")} == {"tensorflow-cpu", "tensorflow"}
    assert all(cpu[name] == gpu[name] for name in cpu.keys() & gpu.keys())


def test_every_direct_dependency_is_locked():
    """A dependency that is added to pyproject.toml and not locked is noticed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["cpu"], *project["optional-dependencies"]["dev"]]
    names = {re.match(r"[A-Za-z0-9._-]+", requirement).group(0).lower() for requirement in wanted}
    assert names <= pins("dev.txt").keys()
