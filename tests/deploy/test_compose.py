"""Here: ``docker-compose.yaml``, its Dockerfile and its secrets, as far as reading tells. Not here: running them (``compose_run.sh``)."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from deploy.compose import api_server, health
from deploy.embedded import airflow
from deploy.embedded.home import Home
from ecg_tasks.cli import distributed
from ecg_tasks.cli.__main__ import app

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yaml").read_text()
COMPOSE = yaml.safe_load(TEXT)
SERVICES = COMPOSE["services"]
OURS = {name for name, service in SERVICES.items() if service["image"].startswith("${ECG_")}
DOCKERFILE = (ROOT / "deploy" / "compose" / "Dockerfile").read_text()
FOREVER = set(SERVICES) - {"airflow-init"}


@pytest.mark.parametrize("name", sorted(SERVICES))
class TestEveryService:
    """What holds for each container."""

    def test_is_locked_down(self, name):
        """Read-only, without capabilities, and unable to gain any."""
        service = SERVICES[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert "privileged" not in service
        assert "cap_add" not in service

    def test_has_limits(self, name):
        """Processors, memory and processes are bounded, and so are its logs."""
        assert {"cpus", "memory", "pids"} <= SERVICES[name]["deploy"]["resources"]["limits"].keys()
        assert {"max-size", "max-file"} <= SERVICES[name]["logging"]["options"].keys()

    def test_pins_its_image(self, name):
        """The default is a tag that says which version, never the latest."""
        default = re.search(r":-([^}]+)\}", SERVICES[name]["image"]).group(1)
        assert re.search(r":\d+\.\d+", default), default
        assert "latest" not in default

    def test_has_a_health_check(self, name):
        """Its own, or the image's, which then knows the component."""
        service = SERVICES[name]
        if name in OURS & FOREVER:
            assert service["environment"]["ECG_COMPONENT"] in health.CHECKS
        else:
            assert service["healthcheck"]

    def test_publishes_on_loopback_only(self, name):
        """Only the web interface has a port, and unless told otherwise only this machine sees it."""
        ports = SERVICES[name].get("ports", [])
        assert bool(ports) == (name == "api-server")
        assert all(port.startswith("${ECG_UI_ADDRESS:-127.0.0.1}:") for port in ports)


def test_networks_join_only_what_must_talk():
    """The database is out of the workers' reach, the broker out of the web's, and the inner networks lead nowhere."""
    members = {network: {name for name, service in SERVICES.items() if network in service["networks"]} for network in COMPOSE["networks"]}
    assert members["broker"] == {"redis", "scheduler", "worker", "worker-gpu"}
    assert members["metadata"] == {"postgres", "airflow-init", "api-server", "scheduler", "dag-processor", "triggerer", "maintenance"}
    assert members["frontend"] == {"api-server"}
    assert members["execution"] == {"api-server", "worker", "worker-gpu"}
    sending = {name for name, service in SERVICES.items() if "AWS_SECRET_ACCESS_KEY" in service.get("environment", {})} - {"store"}
    assert {"dag-processor", "triggerer"} <= sending <= members["store"]  # notices are sent where callbacks run: they read the account
    assert {name for name, network in COMPOSE["networks"].items() if network.get("internal")} == {"broker", "metadata", "execution"}


def test_a_worker_knows_no_secret_of_the_database_or_the_tokens():
    """Neither the database's password nor the keys that sign tokens and encrypt connections get into a worker."""
    for name in ("worker", "worker-gpu"):
        told = json.dumps(SERVICES[name]["environment"])
        assert not re.search(r"POSTGRES_PASSWORD|JWT_SECRET|FERNET|ADMIN_PASSWORD", told)


def test_the_gpu_worker_reserves_a_gpu_and_trains_alone():
    """One task at a time, the queue of training, an NVIDIA device, and only on demand."""
    worker = SERVICES["worker-gpu"]
    assert worker["profiles"] == ["gpu"]
    assert worker["command"][-4:] == ["--queues", "gpu", "--concurrency", "1"]
    assert worker["deploy"]["resources"]["reservations"]["devices"] == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]
    assert "${ECG_WORKER_QUEUES:-default,gpu},night" in SERVICES["worker"]["command"]


def test_the_heartbeats_are_those_of_the_embedded_stack(tmp_path):
    """What the embedded stack was measured with holds here too, name by name."""
    embedded = airflow.environment(Home(tmp_path))
    shared = {name for name in COMPOSE["x-settings"] if name.startswith(("AIRFLOW__SCHEDULER__TASK_INSTANCE", "AIRFLOW__WORKERS__"))}
    assert len(shared) == 6
    assert {name: COMPOSE["x-settings"][name] for name in shared} == {name: embedded[name] for name in shared}


@pytest.mark.parametrize("gpu", [False, True])
def test_every_required_variable_is_made(gpu):
    """`./ecg secrets` knows each variable that the compose file insists on."""
    required = set(re.findall(r"\$\{(\w+):\?", TEXT))
    made = distributed.variables({}, gpu=gpu)
    assert required <= made.keys()
    assert all(made[name] for name in required)
    assert made["COMPOSE_PROFILES"] == ("store,gpu" if gpu else "store")
    assert made["ECG_WORKER_QUEUES"] == ("default" if gpu else "default,gpu")


def test_a_bucket_elsewhere_leaves_the_store_out():
    """With ECG_BUCKET set, its keys are taken, no store is started, and the patients' key can be brought along."""
    elsewhere = {"ECG_BUCKET": "b", "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s/+", "ECG_PATIENT_KEY": "p" * 64, "HOME": "/"}
    made = distributed.variables(elsewhere, gpu=False)
    assert made["COMPOSE_PROFILES"] == ""
    assert made["ECG_PATIENT_KEY"] == "p" * 64
    assert {name: made[name] for name in elsewhere if name != "HOME"} == {
        name: value for name, value in elsewhere.items() if name != "HOME"
    }
    assert not {"SWIFT_HASH", "AWS_ENDPOINT_URL_S3", "HOME"} & made.keys()


def test_secrets_are_private_and_never_overwritten(tmp_path, monkeypatch):
    """The file is its owner's alone, two have nothing secret in common, and a second call changes nothing."""
    monkeypatch.delenv("ECG_BUCKET", raising=False)
    monkeypatch.delenv("ECG_PATIENT_KEY", raising=False)
    first, second = tmp_path / "one", tmp_path / "two"
    for file in (first, second):
        assert CliRunner().invoke(app, ["secrets", "--out", str(file)]).exit_code == 0
    assert stat.S_IMODE(first.stat().st_mode) == 0o600
    ones, twos = (dict(line.split("=", 1) for line in file.read_text().splitlines()) for file in (first, second))
    secret = {name for name in ones if re.search("PASSWORD|SECRET|KEY$|HASH", name)}
    assert len(secret) == 10
    assert not {name for name in secret if ones[name] == twos[name]}
    before = first.read_bytes()
    assert CliRunner().invoke(app, ["secrets", "--out", str(first)]).exit_code == 1
    assert first.read_bytes() == before


def test_the_secrets_file_is_ignored_by_git():
    """Nobody commits it by accident."""
    assert "/.env" in (ROOT / ".gitignore").read_text().splitlines()


def test_the_first_administrators_password_goes_through_a_pipe(monkeypatch):
    """It makes the account, and is neither in a command line nor in the api-server's environment."""
    ran, became = [], []
    monkeypatch.setenv("ECG_ADMIN_PASSWORD", "a long secret")
    monkeypatch.setattr(api_server.subprocess, "run", lambda command, **more: ran.append((command, more, dict(os.environ))))
    monkeypatch.setattr(api_server.os, "execv", lambda _, command: became.append((command, dict(os.environ))))
    api_server.main()
    ((command, more, seen),) = ran
    assert (command[1:], more) == (["-m", "deploy.accounts", "first", "admin"], {"input": b"a long secret", "check": True})
    assert "a long secret" not in {*seen.values(), *became[0][1].values(), *became[0][0]}


def test_what_the_dockerfile_copies_is_there():
    """Each source of a COPY from the checkout exists and is let through by the ignore file."""
    let_through = re.findall(r"^!(\S+)", (ROOT / "deploy" / "compose" / "Dockerfile.dockerignore").read_text(), re.MULTILINE)
    sources = [source for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE) for source in line.split()[:-1]]
    assert len(sources) >= 10
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(source == path or source.startswith(path + "/") for path in let_through), source
    inner = re.findall(r"/opt/ecg/((?:deploy|ecg_tasks)/\S+\.py)", DOCKERFILE)
    assert len(inner) >= 7
    assert all((ROOT / path).exists() for path in inner)


def test_the_stores_image_holds_all_that_its_programs_import(tmp_path):
    """What the image copies, and Python's own library, are enough to import the server, its configuration and its health check."""
    stage = re.search(r"^FROM base AS objectstore\n(.*?)(?=^FROM )", DOCKERFILE, re.MULTILINE | re.DOTALL).group(1)
    for path in re.findall(r"/opt/ecg/(\S+\.py)", stage):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / path, tmp_path / path)
    imports = "import deploy.compose.store, deploy.compose.health, deploy.embedded.swift_node, deploy.embedded.swift_kept"
    environment = {"PYTHONPATH": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, "-S", "-c", imports], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_dockerfile_pins_its_base_and_names_no_index():
    """An exact tag by default; every install checks hashes; no address, and no compiler."""
    install = (ROOT / "deploy" / "compose" / "install.sh").read_text()
    assert re.search(r"^ARG BASE=python:3\.11\.\d+-slim-\w+$", DOCKERFILE, re.MULTILINE)
    assert "--require-hashes" in install
    assert not re.search(r"https?://|index-url|apt-get|gcc|build-essential", DOCKERFILE + install)
    targets = set(re.findall(r"^FROM \S+ AS (\S+)", DOCKERFILE, re.MULTILINE))
    assert {service["build"]["target"] for service in SERVICES.values() if "build" in service} <= targets


def test_no_image_runs_as_root():
    """Each target that is run ends as a user of its own."""
    for target in ("airflow", "objectstore"):
        stage = re.search(rf"^FROM \S+ AS {target}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL).group(1)
        assert "USER 10001:10001" in stage
    assert "\nUSER root" not in DOCKERFILE
