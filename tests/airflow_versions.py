"""Here: ``python -m tests.airflow_versions [3.2 …]``: DAGs and plugins with other versions of Airflow. Not here: the locked one.

Each version is resolved from ``pyproject.toml`` with Airflow's pin moved and those of its providers left open, installed into an
environment of its own below ``--folder`` (2.5 GB, most of it shared with uv's cache), and the tests run there. A version that the index
has not is said and is no fault: 3.4 is asked for until it is out.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
VERSIONS = ("3.2", "3.3", "3.4")
TESTS = ("tests/dags", "tests/plugins")


def moved(pyproject: str, version: str) -> str:
    """Return the text of ``pyproject.toml`` that asks for the newest Airflow of a version, and for what its providers then need.

    >>> moved('"apache-airflow==3.3.2",  "apache-airflow-providers-celery==3.26.0"', "3.2")
    '"apache-airflow==3.2.*",  "apache-airflow-providers-celery"'
    """
    there = re.sub(r'"apache-airflow==[\d.]+"', f'"apache-airflow=={version}.*"', pyproject)
    return re.sub(r'("apache-airflow-providers-[\w-]+(?:\[[\w,]+\])?)==[\d.]+"', r'\1"', there)


def environment(uv: str, version: str, folder: Path) -> tuple[Path, str]:
    """Install what a version needs, and return its Python with the version found; an empty one if the index has none."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pyproject.toml").write_text(moved((ROOT / "pyproject.toml").read_text(), version))
    pins = folder / "pins.txt"
    options = ["--extra", "cpu", "--extra", "dev", "--no-emit-package", "rfc3987-syntax", "--no-emit-package", "lark"]
    resolved = subprocess.run(
        [uv, "pip", "compile", "pyproject.toml", *options, "--no-header", "--no-annotate", "--quiet", "--output-file", pins],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    if resolved.returncode != 0:
        if re.search(r"there (is|are) no versions? of apache-airflow", " ".join(resolved.stderr.split())):
            return Path(), ""
        raise SystemExit(f"Airflow {version} cannot be resolved: {resolved.stderr}")
    python = folder / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, folder / "venv"], check=True)
    subprocess.run([uv, "pip", "sync", "--quiet", "--python", python, pins], check=True)
    (found,) = re.findall(r"^apache-airflow==(\S+)", pins.read_text(), re.MULTILINE)
    return python, found


def main() -> None:
    """Run the tests with each version, tell the outcome in a line each, and end with 1 where one failed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("versions", nargs="*", default=VERSIONS)
    arguments.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "ecg-airflow-versions")
    given = arguments.parse_args()
    uv = shutil.which("uv") or shutil.which("uv", path=str(ROOT / ".venv-setup" / "uv" / "bin"))
    if uv is None:
        sys.exit("uv is not there: ./ecg setup installs it")
    told, failed = list[str](), False
    for version in given.versions:
        python, found = environment(uv, version, given.folder / version)
        if not found:
            told.append(f"Airflow {version}: the package index has none")
            continue
        done = subprocess.run(
            [python, "-m", "pytest", *TESTS, "-q", "-n", "0", "--no-header"],
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PYTHON"))},
        )
        (given.folder / version / "tests.log").write_text(done.stdout + done.stderr)
        failed |= done.returncode != 0
        last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else done.stderr.strip()[-200:]
        told.append(f"Airflow {found}: {last} ({given.folder / version / 'tests.log'})")
        print(told[-1], flush=True)  # noqa: T201
    print("\n".join(["", *told]))  # noqa: T201
    sys.exit(failed)


if __name__ == "__main__":
    main()
