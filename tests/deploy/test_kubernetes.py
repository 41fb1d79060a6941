"""Here: the chart's values and the manifests, as far as reading tells. Not here: a cluster."""

import json
import os
import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text())
MANIFESTS = [
    manifest
    for file in ("secrets.example.yaml", "store.yaml", "gpu-worker.yaml", "maintenance.yaml")
    for manifest in yaml.safe_load_all((FOLDER / file).read_text())
]
SETTINGS = yaml.safe_load((ROOT / "docker-compose.yaml").read_text())["x-settings"]


def pods() -> list[dict]:
    """The pods that the manifests make."""
    specs = []
    for manifest in MANIFESTS:
        spec = manifest.get("spec", {})
        spec = spec.get("jobTemplate", {}).get("spec", spec)
        if "template" in spec:
            specs.append(spec["template"]["spec"])
    return specs


def test_shared_settings_are_those_of_compose():
    """What both files set, they set alike, but for what says where the program lies."""
    shared = 0
    for section, names in VALUES["config"].items():
        for name, value in names.items():
            key = f"AIRFLOW__{section}__{name}".upper()
            if key in SETTINGS and "${" not in SETTINGS[key]:
                assert str(value) == SETTINGS[key], key
                shared += 1
    assert shared >= 15


def test_every_secret_that_is_named_is_in_the_example():
    """Values and manifests name no secret that the example does not show, key by key."""
    known = {manifest["metadata"]["name"]: manifest["stringData"].keys() for manifest in MANIFESTS if manifest["kind"] == "Secret"}
    text = "".join((FOLDER / name).read_text() for name in ("values.yaml", "store.yaml", "gpu-worker.yaml", "maintenance.yaml"))
    for name, key in re.findall(r"secretKeyRef: \{name: ([\w-]+), key: ([\w-]+)\}", text):
        assert key in known[name]
    named = set(re.findall(r"secretRef: \{name: ([\w-]+)\}|SecretName: ([\w-]+)|jwtSecretName: ([\w-]+)", text))
    assert {name for names in named for name in names if name} <= known.keys()


def test_the_example_holds_no_secret():
    """Whatever must not be guessed is left to be changed."""
    for manifest in MANIFESTS:
        if manifest["kind"] == "Secret":
            for name, value in manifest["stringData"].items():
                assert "change-me" in value or name in {"ECG_BUCKET", "AWS_ENDPOINT_URL_S3", "AWS_ACCESS_KEY_ID", "AWS_DEFAULT_REGION"}


def test_pods_are_locked_down_and_limited():
    """No pod runs as root, gains rights, or has no bound on its memory; every image says which version."""
    assert len(pods()) == 3
    for pod in pods():
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert re.search(r":\d+\.\d+\.\d+$", container["image"])


def test_training_waits_for_a_gpu_and_is_not_cut_short():
    """The queue gpu has one worker at most, which counts as needed while it trains and may end its training."""
    scaled = next(manifest["spec"] for manifest in MANIFESTS if manifest["kind"] == "ScaledObject")
    assert (scaled["minReplicaCount"], scaled["maxReplicaCount"]) == (0, 1)
    assert "'running', 'queued'" in scaled["triggers"][0]["metadata"]["query"]
    pod = next(pod for pod in pods() if pod["containers"][0]["name"] == "worker")
    assert pod["terminationGracePeriodSeconds"] >= 12 * 3600
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_values_fit_the_charts_schema():
    """Where the chart's values.schema.json is at hand (ECG_CHART_SCHEMA), the values are checked against it."""
    file = os.environ.get("ECG_CHART_SCHEMA")
    if not file:
        pytest.skip("ECG_CHART_SCHEMA does not name the chart's values.schema.json")
    import jsonschema

    jsonschema.validate(VALUES, json.loads(Path(file).read_text()))
