"""Here: ``secrets``: what ``docker-compose.yaml`` must get and no attacker may guess. Not here: the containers (``deploy.compose``)."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli.checkout import needed_for
from ecg_tasks.cli.terminal import complain, say

OUR_STORE = "http://store:8080"
"""The store among the containers."""


def secrets(
    *,
    gpu: Annotated[bool, typer.Option("--gpu", help="This machine has an NVIDIA GPU: start the worker that trains on it.")] = False,
    out: Annotated[Path | None, typer.Option(help="File to write; default: .env in the checkout.", dir_okay=False)] = None,
) -> None:
    """Write .env for docker compose: passwords and keys, drawn once. A file that is there is never changed.

    With ECG_BUCKET set, it and the AWS variables are taken from the environment and the stack has no object store.
    """
    file = out or needed_for("secrets without --out") / ".env"
    text = "".join(f"{name}={_quoted(value)}\n" for name, value in variables(dict(os.environ), gpu=gpu).items())
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        complain(f"{file} is there and stays as it is; what was encrypted or stored with its keys needs them")
        raise typer.Exit(1) from None
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    say(f"wrote {file}; keep a copy of it in a safe place. Next: docker compose build && docker compose up -d --wait")


def variables(environ: dict[str, str], *, gpu: bool) -> dict[str, str]:
    """Return everything that the compose file insists on, and which parts of it to start.

    Parameters
    ----------
    environ : names a bucket elsewhere, or the key of patients known from an earlier stack
    gpu : whether the GPU's worker serves the queue ``gpu``; without one the ordinary workers do
    """
    from deploy.embedded.home import Secrets
    from deploy.embedded.object_store import REGION

    made = Secrets.generate()
    bucket = {
        "ECG_BUCKET": "ecg",
        "AWS_ENDPOINT_URL_S3": OUR_STORE,
        "AWS_ACCESS_KEY_ID": made.s3_access_key,
        "AWS_SECRET_ACCESS_KEY": made.s3_secret_key,
        "AWS_DEFAULT_REGION": REGION,
        "SWIFT_HASH": made.swift_hash,
        "ECG_STORE_ERASE_KEY": made.store_inner,
    }
    if environ.get("ECG_BUCKET"):
        known = ("ECG_BUCKET", *(name for name in environ if name.startswith("AWS_")))
        bucket = {"AWS_DEFAULT_REGION": REGION} | {name: environ[name] for name in known}
    profiles = [*([] if environ.get("ECG_BUCKET") else ["store"]), *(["gpu"] if gpu else [])]
    return {
        "COMPOSE_PROFILES": ",".join(profiles),
        "ECG_WORKER_QUEUES": "default" if gpu else "default,gpu",
        "ECG_ADMIN_PASSWORD": made.admin_password,
        "ECG_PATIENT_KEY": environ.get("ECG_PATIENT_KEY") or made.patient_key,
        "POSTGRES_PASSWORD": made.database_password,
        "REDIS_PASSWORD": made.control_password,
        "AIRFLOW_JWT_SECRET": made.jwt_secret,
        "AIRFLOW_API_SECRET_KEY": made.api_secret_key,
        "AIRFLOW_FERNET_KEY": made.fernet_key,
        **bucket,
    }


def _quoted(value: str) -> str:
    """Quote a value as Compose reads it back: within single quotes nothing is expanded."""
    return value if value.replace("_", "").replace("-", "").isalnum() else f"'{value}'"
