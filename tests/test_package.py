"""The wheel, built without a network and installed into an empty environment, is the library, the command and Airflow's provider."""

import json
import os
import re
import subprocess
import sys
import zipfile
from importlib.util import find_spec
from pathlib import Path

import pytest

import ecg_tasks
from ecg_tasks.archive.code_version import code_version
from ecg_tasks.cli.__main__ import app
from ecg_tasks.offline.classify_file import classify_file
from tests.archives import make_wfdb
from tests.untraced import untraced

pytestmark = pytest.mark.slow

__all__ = ["make_wfdb"]

ROOT = Path(__file__).parents[1]

IN_AIRFLOW = """
import json
from importlib.metadata import distribution, entry_points
from pathlib import Path

import airflow
from airflow.dag_processing.dagbag import BundleDagBag
from airflow.plugins_manager import _get_plugins
from airflow.providers_manager import ProvidersManager
from jsonschema import validate

plugins, errors = _get_plugins()
import ecg_pages, inbox_trigger, report_notifier
(provider,) = (point for point in entry_points(group="apache_airflow_provider") if point.dist.name == "ecg-spectrograms")
info = provider.load()()
validate(info, json.loads(Path(airflow.__path__[0], "provider_info.schema.json").read_text()))
from deploy.provider import DAGS
dags = BundleDagBag(DAGS, bundle_path=DAGS, bundle_name="ecg")
print(json.dumps({
    "info": info,
    "seen": ProvidersManager().providers["ecg-spectrograms"].version,
    "groups": sorted(point.group for point in distribution("ecg-spectrograms").entry_points),
    "plugins": [plugin.name for plugin in plugins],
    "errors": errors | {str(file): error for file, error in dags.import_errors.items()},
    "from": [ecg_pages.__file__, inbox_trigger.__file__, report_notifier.__file__],
    "dags": sorted(dags.dags),
}))
"""

PLUGINS = """
import json
from airflow.plugins_manager import _get_plugins
plugins, errors = _get_plugins()
import ecg_pages
print(json.dumps({"plugins": [plugin.name for plugin in plugins], "errors": errors, "from": ecg_pages.__file__}))
"""


def run(*command, cwd, **variables):
    """What a program prints, started outside the checkout with an environment that does not know it."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "AIRFLOW", "ECG_", "AWS_", "COVERAGE"))}
    return subprocess.run([*map(str, command)], cwd=cwd, env=kept | variables, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder]
    built = subprocess.run(command, cwd=ROOT, env=untraced(), capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    (file,) = folder.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def bin_(wheel, tmp_path_factory):
    """The programs' folder of an environment with nothing but the wheel, which sees the locked packages."""
    environment = tmp_path_factory.mktemp("environment") / "venv"
    subprocess.run([sys.executable, "-m", "virtualenv", "--quiet", "--no-download", "--no-periodic-update", environment], check=True)
    programs = environment / "bin"
    installed = run(programs / "pip", "install", "--no-index", "--no-deps", wheel, cwd=environment, PIP_CONFIG_FILE=os.devnull)
    assert installed.returncode == 0, installed.stderr
    (packages,) = environment.glob("lib/python3.*/site-packages")
    locked = [str(Path(find_spec(name).origin).parents[1]) for name in ("airflow", "pytest")]
    (packages / "locked.pth").write_text("".join(f"import site; site.addsitedir({folder!r})\n" for folder in locked))
    return programs


@pytest.fixture
def recording(make_wfdb, tmp_path):
    """A made-up recording: a WFDB header with its signals beside it."""
    for name, data in make_wfdb("r", seed=3).items():
        (tmp_path / name).write_bytes(data)
    return tmp_path / "r.hea"


def test_the_wheel_holds_what_is_tracked_and_nothing_else(wheel):
    """Every file of the library, the pages, the plugins, the DAGs and the models; no compiled file, no test, no image."""
    names = set(zipfile.ZipFile(wheel).namelist())
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = {path for path in tracked if path.startswith(("ecg_tasks/", "ecg_ui/", "deploy/accounts/", "deploy/embedded/"))}
    wanted |= {"deploy/__init__.py", "deploy/pools.json", "deploy/provider.py"}
    wanted |= {path.removeprefix("plugins/") for path in tracked if path.startswith("plugins/")}
    wanted |= {f"ecg_spectrograms/{path}" for path in tracked if path.startswith(("dags/", "docs/", "models/"))}
    assert {name for name in names if ".dist-info/" not in name} == wanted


def test_the_library_classifies_with_the_shipped_champion(bin_, recording):
    """As the checkout does, to the last digit; and the code is named by the same tree."""
    program = (
        "import json, sys, ecg_tasks; from pathlib import Path; from ecg_tasks.archive.code_version import code_version;"
        "from ecg_tasks.offline.classify_file import classify_file; (found,) = classify_file(Path(sys.argv[1])).results;"
        "print(json.dumps({'from': ecg_tasks.__file__, 'code': code_version(), 'p': found.probability, 'version': found.version}))"
    )
    done = run(bin_ / "python", "-P", "-c", program, recording, cwd=recording.parent)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    (here,) = classify_file(recording).results
    assert told.pop("from").startswith(str(bin_.parent))
    assert told == {"code": code_version(), "p": here.probability, "version": here.version}


def test_the_command_is_there(bin_, recording):
    """``ecg --version`` and ``ecg classify`` work outside any checkout."""
    assert run(bin_ / "ecg", "--version", cwd=recording.parent).stdout == f"ecg {ecg_tasks.__version__}\n"
    done = run(bin_ / "ecg", "classify", recording, cwd=recording.parent)
    assert done.returncode == 0, done.stderr
    assert re.search(r"normal|abnormal|uncertain|uninterpretable", done.stdout)


@pytest.mark.parametrize("command", ["up", "put x", "test", "secrets", "setup"])
def test_what_needs_a_checkout_says_so(bin_, tmp_path, command):
    """In one sentence, and it writes nothing into the environment."""
    (tmp_path / "x").write_text("x")
    before = sorted(path for path in bin_.parent.rglob("*") if "__pycache__" not in path.parts)
    done = run(bin_ / "ecg", *command.split(), cwd=tmp_path)
    assert done.returncode == 1, done.stdout
    assert done.stderr.startswith("ecg: ")
    assert done.stderr.count("\n") == 1
    assert "installed package" in done.stderr or "was not set up by ./ecg" in done.stderr
    assert sorted(path for path in bin_.parent.rglob("*") if "__pycache__" not in path.parts) == before


def test_an_airflow_of_ones_own_gets_provider_pages_and_dags(bin_, tmp_path):
    """The provider's information is of Airflow's form; pages, trigger and notifier come from the package; its DAGs can be read."""
    done = run(bin_ / "python", "-P", "-c", IN_AIRFLOW, cwd=tmp_path, AIRFLOW_HOME=str(tmp_path))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["errors"] == {}
    assert told["seen"] == ecg_tasks.__version__ == told["info"]["versions"][0]
    assert told["groups"] == ["airflow.plugins", "apache_airflow_provider", "console_scripts"]
    assert told["plugins"].count("ecg_pages") == 1
    assert all(file.startswith(str(bin_.parent)) for file in told["from"])
    assert told["dags"] == sorted(path.stem for path in (ROOT / "dags").glob("*.py") if not path.stem.startswith("ecg_"))


def test_the_plugins_folder_of_a_checkout_comes_first(bin_, tmp_path):
    """Where both are there, as in an embedded stack with the package beside it, the plugin is loaded once, and nothing is an error."""
    folder = ROOT / "plugins"
    done = run(bin_ / "python", "-P", "-c", PLUGINS, cwd=tmp_path, AIRFLOW_HOME=str(tmp_path), AIRFLOW__CORE__PLUGINS_FOLDER=str(folder))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told == {"plugins": told["plugins"], "errors": {}, "from": str(folder / "ecg_pages.py")}
    assert told["plugins"].count("ecg_pages") == 1


def test_the_version_stands_once(wheel):
    """The package, the command and the tags of the images say the library's version; no other file states one."""
    assert wheel.name == f"ecg_spectrograms-{ecg_tasks.__version__}-py3-none-any.whl"
    assert app.info.name == "ecg"
    texts = [ROOT / "docker-compose.yaml", *sorted((ROOT / "deploy" / "kubernetes").glob("*.yaml"))]
    tags = [tag for file in texts for tag in re.findall(r'(?:ecg-[a-z-]+:|defaultAirflowTag: ")(\d[^}"\s]*)', file.read_text())]
    assert len(tags) > 5
    assert set(tags) == {ecg_tasks.__version__}
    assert f"## {ecg_tasks.__version__}" in (ROOT / "CHANGELOG.md").read_text()
