"""Here: the chart's values and the manifests, as far as reading tells. Not here: a cluster."""

import copy
import json
import os
import re
from functools import reduce
from operator import getitem
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.compose import health

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
SCHEMA = json.loads(Path(__file__).with_name("chart_values.schema.json").read_text())
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


OLDEST_KUBERNETES = "1.30"
KEDA = {"ScaledObject", "TriggerAuthentication"}
"""Kinds that come with KEDA, and that no schema of Kubernetes knows."""
OURS = [pytest.param(one, id=f"{one['kind']} {one['metadata']['name']}") for one in MANIFESTS if one["kind"] not in KEDA]


@pytest.mark.parametrize("manifest", OURS)
def test_manifests_fit_the_schemas_of_kubernetes(manifest: dict):
    """The oldest version that they are for and the newest one know every field, and its type."""
    for version in (OLDEST_KUBERNETES, kubernetes_validate.latest_version()):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_of_kubernetes_refuse():
    """A field in the wrong place, and one of a wrong type, are found."""
    (job,) = (manifest for manifest in MANIFESTS if manifest["kind"] == "CronJob")
    for fault in ({"restartPolicy": "Never"}, {"schedule": 3}):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(job | {"spec": job["spec"] | fault}, OLDEST_KUBERNETES, strict=True)


def closed(schema: dict) -> dict:
    """The schema with every object allowing no more than it names, also where the chart would pass over the rest in silence."""
    parts = {key: closed(part) if isinstance(part, dict) else part for key, part in schema.items()}
    return {"additionalProperties": False} | parts if isinstance(schema.get("properties"), dict) else parts


def test_values_fit_the_charts_schema_as_far_as_it_was_read():
    """Of every key that the values use, the type, and whether the chart knows it."""
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)
    jsonschema.validate(VALUES, closed(SCHEMA))


@pytest.mark.parametrize(
    ("path", "value", "schema", "why"),
    [
        ("workers.celery.keda.maxReplicaCount", "32", SCHEMA, "type"),
        ("extraEnvFrom", [{"secretRef": {"name": "ecg-bucket"}}], SCHEMA, "type"),
        ("scheduler.env", [{"name": "ECG_COMPONENT"}], SCHEMA, "anyOf"),
        ("config.celery.worker_concurrency", None, SCHEMA, "type"),
        ("workers.celery.keda.maxReplicas", 32, SCHEMA, "additionalProperties"),
        ("dagProcessor.liveness", {}, SCHEMA, "additionalProperties"),
        ("workers.celery.terminationGracePeriod", 1800, closed(SCHEMA), "additionalProperties"),
        ("securityContexts.container", {}, closed(SCHEMA), "additionalProperties"),
        ("dagprocessor", {}, closed(SCHEMA), "additionalProperties"),
    ],
)
def test_the_schema_refuses(path: str, value: object, schema: dict, why: str):
    """A wrong type and an unknown key are found, and nothing else."""
    *above, name = path.split(".")
    planted = copy.deepcopy(VALUES)
    reduce(getitem, above, planted)[name] = value
    (error,) = jsonschema.Draft7Validator(schema).iter_errors(planted)
    assert error.validator == why
    assert name in error.absolute_path or (list(error.absolute_path) == above and f"'{name}'" in error.message)


def test_values_fit_the_charts_whole_schema():
    """Where the chart's own values.schema.json is at hand, it agrees."""
    file = os.environ.get("ECG_CHART_SCHEMA")
    if not file:
        pytest.skip("needs the chart's whole values.schema.json, named by ECG_CHART_SCHEMA; the keys in use are checked without it")
    jsonschema.validate(VALUES, json.loads(Path(file).read_text()))


def test_probes_call_what_our_image_has():
    """Each component is asked by our own program, by a name that it knows; the chart's probes and log groomers need the official image."""
    parts = {name: VALUES[name] for name in ("scheduler", "dagProcessor", "triggerer")} | {"worker": VALUES["workers"]["celery"]}
    for part in parts.values():
        for probe in part.keys() & {"livenessProbe", "startupProbe"}:
            assert part[probe]["command"] == ["python", "-m", health.__name__]
        assert "livenessProbe" in part
        assert not part["logGroomerSidecar"]["enabled"]
    assert "startupProbe" in parts["scheduler"]
    names = [next(entry["value"] for entry in part["env"] if entry["name"] == "ECG_COMPONENT") for part in parts.values()]
    assert names == ["scheduler", "dag-processor", "triggerer", "worker"]
    assert set(names) <= health.CHECKS.keys()
    assert "ENTRYPOINT" not in (ROOT / "deploy" / "compose" / "Dockerfile").read_text()  # or `args` would not be the whole command


def test_keda_finds_an_address_that_it_can_read():
    """The variable that the chart's scaler reads comes from KEDA's own secret, which names no driver; Airflow's names one."""
    secrets = {manifest["metadata"]["name"]: manifest["stringData"] for manifest in MANIFESTS if manifest["kind"] == "Secret"}
    assert VALUES["enableBuiltInSecretEnvVars"]["AIRFLOW_CONN_AIRFLOW_DB"] is False
    (variable,) = (entry for entry in VALUES["workers"]["celery"]["env"] if entry["name"] == "AIRFLOW_CONN_AIRFLOW_DB")
    source = variable["valueFrom"]["secretKeyRef"]
    assert secrets[source["name"]][source["key"]].startswith("postgresql://")
    assert secrets[VALUES["data"]["metadataSecretName"]]["connection"].startswith("postgresql+psycopg2://")
