"""Here: the chart's values and the manifests. Not here: the chart itself, which belongs to others (``rendered_chart``), or a cluster."""

import copy
import json
import os
import re
import shutil
from functools import reduce
from operator import getitem
from pathlib import Path

import jsonschema
import kubernetes_validate
import pytest
import yaml

from deploy.compose import health
from tests.deploy import rendered_chart

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "kubernetes"
SCHEMA = json.loads(Path(__file__).with_name("chart_values.schema.json").read_text())
VALUES = yaml.safe_load((FOLDER / "values.yaml").read_text())
MANIFESTS = rendered_chart.ours()
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


OURS = [pytest.param(one, id=f"{one['kind']} {one['metadata']['name']}") for one in MANIFESTS if one["kind"] not in rendered_chart.KEDA]


@pytest.mark.parametrize("manifest", OURS)
def test_manifests_fit_the_schemas_of_kubernetes(manifest: dict):
    """The oldest version that they are for and the newest one know every field, and its type."""
    for version in (rendered_chart.OLDEST_KUBERNETES, kubernetes_validate.latest_version()):
        kubernetes_validate.validate(manifest, version, strict=True)


def test_the_schemas_of_kubernetes_refuse():
    """A field in the wrong place, and one of a wrong type, are found."""
    (job,) = (manifest for manifest in MANIFESTS if manifest["kind"] == "CronJob")
    for fault in ({"restartPolicy": "Never"}, {"schedule": 3}):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate(job | {"spec": job["spec"] | fault}, rendered_chart.OLDEST_KUBERNETES, strict=True)


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


def test_what_the_chart_makes_of_the_values():
    """Where the chart is at hand, its manifests and ours fit Kubernetes and one another, and ask for no right in the cluster."""
    chart, helm = os.environ.get("ECG_CHART"), shutil.which("helm")
    if not chart or not helm:
        pytest.skip("needs the official chart, named by ECG_CHART, and helm; its manifests are checked by hand")
    crds = os.environ.get("ECG_KEDA_DEFINITIONS")
    rendered = rendered_chart.render(helm, Path(chart))
    assert list(rendered_chart.faults([*rendered, *MANIFESTS], rendered_chart.definitions(Path(crds)) if crds else {})) == []
    set_there = rendered_chart.settings_of(rendered)
    ours = {
        f"AIRFLOW__{section}__{name}".upper(): str(value) for section, names in VALUES["config"].items() for name, value in names.items()
    }
    assert {name: value for name, value in ours.items() if set_there.get(name) != value} == {}


WORKER = next(one for one in MANIFESTS if one["kind"] == "Deployment" and one["metadata"]["name"] == "ecg-worker-gpu")
SCALED = next(one for one in MANIFESTS if one["kind"] == "ScaledObject")
ROLE = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "a"}, "rules": []}
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "a"}}
THERE = [*MANIFESTS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "airflow-config"}}]


def test_our_manifests_are_without_a_fault():
    """With what the chart brings for them (its settings), they have every name that they mention."""
    assert list(rendered_chart.faults(THERE, {})) == []


@pytest.mark.parametrize(
    ("manifest", "path", "value", "told"),
    [
        (WORKER, "spec.template.spec.securityContext", {"runAsNonRoot": True}, "not restricted"),
        (WORKER, "spec.template.spec.automountServiceAccountToken", True, "gets a token"),
        (WORKER, "spec.template.spec.serviceAccountName", "missing", "account missing is not there"),
        (WORKER, "spec.template.spec.containers.0.securityContext", {}, "may gain rights"),
        (WORKER, "spec.template.spec.containers.0.resources", {}, "no bound on its memory"),
        (WORKER, "spec.template.spec.containers.0.command", ["/entrypoint"], "official image"),
        (WORKER, "spec.template.spec.containers.0.envFrom", [{"secretRef": {"name": "none"}}], "needs none, which"),
        (WORKER, "spec.template.spec.volumes", [{"name": "config", "configMap": {"name": "other"}}], "mounts other"),
        (WORKER, "spec.replica", 3, "Kubernetes 1.30"),
        (SCALED, "spec.scaleTargetRef", {"name": "gone"}, "scales gone, which is not there"),
        (SCALED, "spec.triggers.0.metadata.connectionFromEnv", "ADDRESS", "reads ADDRESS, which ecg-worker-gpu has not"),
        (SCALED, "spec.triggers.0.authenticationRef.name", "nobody", "names nobody, which is not there"),
        (ACCOUNT, "automountServiceAccountToken", True, "puts a token"),
        (ROLE, "metadata.name", "b", "Role b gives rights in the cluster"),
    ],
)
def test_a_fault_of_a_manifest_is_told(manifest: dict, path: str, value: object, told: str):
    """Each kind of fault, planted into a manifest that has none."""
    *above, name = [int(part) if part.isdigit() else part for part in path.split(".")]
    planted = copy.deepcopy(manifest)
    reduce(getitem, above, planted)[name] = value
    found = list(rendered_chart.faults([*(one for one in THERE if one is not manifest), planted], {}))
    assert any(told in fault for fault in found), found


def test_keda_refuses_what_it_does_not_know(tmp_path: Path):
    """Its definitions, as its repository has them, are read with no field allowed beside those that they name."""
    for plural in rendered_chart.KEDA.values():
        trigger = {"type": "object", "properties": {"type": {"type": "string"}}, "x-kubernetes-preserve-unknown-fields": True}
        spec = {"type": "object", "properties": {"scaleTargetRef": {"type": "object"}, "triggers": {"type": "array", "items": trigger}}}
        whole = {"type": "object", "properties": {"apiVersion": {}, "kind": {}, "metadata": {"type": "object"}, "spec": spec}}
        (tmp_path / f"keda.sh_{plural}.yaml").write_text(yaml.dump({"spec": {"versions": [{"schema": {"openAPIV3Schema": whole}}]}}))
    found = list(rendered_chart.faults([*THERE], rendered_chart.definitions(tmp_path)))
    assert [fault for fault in found if "ScaledObject" in fault]
    assert all("Additional properties are not allowed" in fault for fault in found)
    assert any("'pollingInterval'" in fault for fault in found)
    assert not any("'query'" in fault for fault in found)


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
