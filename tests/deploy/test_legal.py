"""Each image says what is in it and under which licences: nothing is left out, nothing is unknown, and nothing is under the GPL."""

import json
import os
import re
import shutil
import subprocess
import sys
from importlib.metadata import PathDistribution, distributions
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.markers import Marker

from deploy.compose import notice

ROOT = Path(__file__).parents[2]
PACKAGES = Path(find_spec("airflow").origin).parents[1]
"""The users' set of packages: what ``locks/cpu.txt`` installs."""
CYCLONEDX = Path(sys.executable).with_name("cyclonedx-py")


def locked(lock: str) -> dict[str, str]:
    """Package to version, of those that a lock installs on this machine."""
    lines = re.findall(r"^([a-z0-9][a-z0-9._-]*)==(\S+)(?: ; (.*?))? \\$", (ROOT / "locks" / lock).read_text(), re.MULTILINE)
    return {name: version for name, version, marker in lines if not marker or Marker(marker).evaluate()}


def named(text: str) -> dict[str, str]:
    """Package to version, as a NOTICE names them."""
    entries = re.findall(r"^(\S+) (\S+): \S", text, re.MULTILINE)
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in entries}


def package(folder, **metadata):
    """A package that says this of itself."""
    information = folder / "made-1.0.dist-info"
    information.mkdir()
    lines = [f"{name.replace('_', '-')}: {value}" for name, values in metadata.items() for value in values.split("|")]
    (information / "METADATA").write_text("\n".join(["Name: made", "Version: 1.0", *lines, ""]))
    return PathDistribution(information)


def test_the_notice_names_every_locked_package():
    """With a licence each, and the text of nearly all; what is in the environment beside them is named as well."""
    text = notice.notice(distributions(path=[str(PACKAGES)]), PACKAGES)
    assert locked("cpu.txt").items() <= named(text).items()
    texts = re.findall(r"^    (\S.*)$", text, re.MULTILINE)
    assert len(texts) > 0.9 * len(named(text))
    assert all((PACKAGES / one).is_file() for one in texts)


def test_the_list_names_every_locked_package(tmp_path):
    """As packages of the index with their versions; checked against the schema when an image is built, which takes longer."""
    file = tmp_path / "sbom.cdx.json"
    command = [
        CYCLONEDX,
        "environment",
        "--no-validate",
        "--output-reproducible",
        "--output-file",
        file,
        PACKAGES.parents[2] / "bin" / "python",
    ]
    subprocess.run(command, check=True, capture_output=True)
    found = json.loads(file.read_text())
    assert found["bomFormat"] == "CycloneDX"
    purls = [component["purl"].partition("?")[0].removeprefix("pkg:pypi/").partition("@") for component in found["components"]]
    assert locked("cpu.txt").items() <= {re.sub(r"[-_.]+", "-", name): version for name, _, version in purls}.items()


def test_what_an_image_build_runs(tmp_path):
    """The script writes a notice, and a list that CycloneDX's schema accepts; it fails, before the list, where a licence will not do."""
    environment = tmp_path / "environment"
    bare = [sys.executable, "-m", "virtualenv", "--quiet", "--no-download", "--no-periodic-update", "--no-pip", "--no-setuptools"]
    subprocess.run([*bare, environment], check=True)
    (packages,) = environment.glob("lib/python3.*/site-packages")

    def build(licence):
        shutil.rmtree(packages / "made-1.0.dist-info", ignore_errors=True)
        package(packages, License_Expression=licence)
        command = ["sh", ROOT / "deploy" / "compose" / "legal.sh", environment, CYCLONEDX, tmp_path / licence]
        return subprocess.run(command, env=os.environ | {"SOURCE_DATE_EPOCH": "1767225600"}, capture_output=True, text=True, check=False)

    refused = build("AGPL-3.0-or-later")
    assert refused.returncode != 0
    assert "made (AGPL-3.0-or-later)" in refused.stderr
    assert not (tmp_path / "AGPL-3.0-or-later" / "sbom.cdx.json").exists()
    done = build("MIT")
    assert done.returncode == 0, done.stderr
    assert named((tmp_path / "MIT" / "NOTICE").read_text()) == {"made": "1.0"}
    found = json.loads((tmp_path / "MIT" / "sbom.cdx.json").read_text())
    assert [component["purl"] for component in found["components"]] == ["pkg:pypi/made@1.0"]
    assert found["metadata"]["timestamp"].startswith("2026-01-01T00:00:00")


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ({"License_Expression": "MIT", "License": "Something else"}, "MIT"),
        ({"Classifier": "License :: OSI Approved :: BSD License|Programming Language :: Python", "License": "x" * 61}, "BSD License"),
        ({"Classifier": "License :: OSI Approved"}, ""),
        ({"License": "BSD-3-Clause"}, "BSD-3-Clause"),
        ({"License": "UNKNOWN"}, ""),
        ({"License": "Permission is hereby granted to everybody who has got a copy of it"}, ""),
    ],
)
def test_a_licence_is_what_the_metadata_declare(tmp_path, metadata, licence):
    """An expression before a class before a name; a text is no name."""
    assert notice.licence(package(tmp_path, **metadata)) == licence


@pytest.mark.parametrize(
    ("licence", "accepted"),
    [
        ("MIT", True),
        ("LGPL-3.0-only", True),
        ("GNU Library or Lesser General Public License (LGPL)", True),
        ("GNU Lesser General Public License v3", True),
        ("GPL-2.0-or-later", False),
        ("AGPL-3.0-only", False),
        ("GNU General Public License v2 or later", False),
        ("GNU Affero General Public License v3", False),
    ],
)
def test_which_licences_are_accepted(licence, accepted):
    """The LGPL is, by any of its names; the GPL and the AGPL are not."""
    assert notice.is_accepted(licence) is accepted


def test_every_image_gets_both():
    """Each image that the Dockerfile makes copies them from a stage of its own packages, and its packages are of a lock."""
    dockerfile = (ROOT / "deploy" / "compose" / "Dockerfile").read_text()
    for image in ("cpu", "gpu", "objectstore"):
        (stage,) = re.findall(rf"^FROM \w+ AS {image}\n(.*?)(?=^FROM |\Z)", dockerfile, re.MULTILINE | re.DOTALL)
        assert f"COPY --from={image}-legal /legal /opt/ecg/legal" in stage
        (legal,) = re.findall(rf"^FROM sbom AS {image}-legal\n(.*?)(?=^FROM )", dockerfile, re.MULTILINE | re.DOTALL)
        assert f"RUN --mount=from={image}-packages," in legal
        assert f"COPY locks/{image}.txt" in dockerfile
