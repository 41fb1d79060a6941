"""Here: the state folder: its layout, its secrets and its ports. Not here: the programs that use them."""

import base64
import json
import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
"""The folder that holds ``dags/``, ``plugins/`` and ``ecg_tasks/``."""

LOOPBACK = "127.0.0.1"
UI_PORT = 8080
"""Tried first for the web interface."""
_PORTS = range(20_000, 30_000)
"""Below the range from which systems number outgoing connections, so that a kept port stays free."""


@dataclass(frozen=True, kw_only=True)
class Secrets:
    """What must not be guessed; made at first start and never changed after."""

    admin_password: str
    control_password: str
    database_password: str
    airflow_database_password: str
    jwt_secret: str
    api_secret_key: str
    fernet_key: str
    s3_access_key: str
    s3_secret_key: str
    swift_hash: str
    store_inner: str
    patient_key: str

    @classmethod
    def generate(cls) -> "Secrets":
        """Draw new ones."""
        return cls(
            admin_password=secrets.token_urlsafe(12),
            control_password=secrets.token_urlsafe(24),
            database_password=secrets.token_urlsafe(24),
            airflow_database_password=secrets.token_urlsafe(24),
            jwt_secret=secrets.token_urlsafe(64),
            api_secret_key=secrets.token_urlsafe(32),
            fernet_key=base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            s3_access_key="ecg:pipeline",
            s3_secret_key=secrets.token_urlsafe(30),
            swift_hash=secrets.token_hex(16),
            store_inner=secrets.token_urlsafe(32),
            patient_key=secrets.token_hex(32),
        )


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Where each server listens, on 127.0.0.1 only; chosen at first start and kept while they are free."""

    ui: int
    control: int
    postgres: int
    store: int
    store_account: int
    store_container: int
    store_object: int


class Home:
    """The state folder of one stack.

    Parameters
    ----------
    path : created with mode 0700 when it is first written to; default: ``ECG_HOME``, else ``.ecg`` in the checkout
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self.path = Path(path or os.environ.get("ECG_HOME") or CHECKOUT / ".ecg").expanduser().resolve()

    def __str__(self) -> str:
        return str(self.path)

    def create(self) -> None:
        """Make the folders that are missing."""
        for folder in (self.path, self.airflow, self.logs, self.store, self.reports):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    @property
    def exists(self) -> bool:
        """Whether a stack was ever set up here."""
        return (self.path / "secrets.json").exists()

    @property
    def airflow(self) -> Path:
        """Airflow's own folder (``AIRFLOW_HOME``)."""
        return self.path / "airflow"

    @property
    def postgres(self) -> Path:
        """PostgreSQL's data."""
        return self.path / "postgres"

    @property
    def store(self) -> Path:
        """The object store's settings, and the bucket in ``devices/``."""
        return self.path / "store"

    @property
    def logs(self) -> Path:
        """One log a component, and in ``tasks/`` one log a task."""
        return self.path / "logs"

    @property
    def reports(self) -> Path:
        """Reports that were copied out of the bucket to be opened in a browser."""
        return self.path / "reports"

    def log(self, component: str) -> Path:
        """Return the file of everything that a component prints; it is kept within 30 MB."""
        return self.logs / f"{component}.log"

    def secrets(self) -> Secrets:
        """Return the secrets, made when they are first asked for."""
        file = self.path / "secrets.json"
        known = _read_json(file)
        if missing := {field.name for field in fields(Secrets)} - known.keys():
            made = asdict(Secrets.generate())
            known |= {name: made[name] for name in missing}
            write_private(file, json.dumps(known, indent=2))
        return Secrets(**known)

    def keep_admin_password(self, password: str) -> None:
        """Keep the administrator's new password: the stack's own commands log in with it."""
        write_private(self.path / "secrets.json", json.dumps(asdict(self.secrets()) | {"admin_password": password}, indent=2))

    def ports(self) -> Ports:
        """Return the ports, chosen when they are first asked for."""
        known = _read_json(self.path / "ports.json")
        if {field.name for field in fields(Ports)} - known.keys():
            return self._save(choose_ports(known))
        return Ports(**known)

    def refresh_ports(self) -> Ports:
        """Keep every port that is still free and replace those which another program has taken: only while the stack is down."""
        known = {name: port for name, port in _read_json(self.path / "ports.json").items() if is_free(port)}
        return self._save(choose_ports(known))

    def _save(self, ports: Ports) -> Ports:
        write_private(self.path / "ports.json", json.dumps(asdict(ports), indent=2))
        return ports


def choose_ports(known: Mapping[str, int]) -> Ports:
    """Fill up ``known`` with free ports; 8080 is preferred for the web interface."""
    chosen = dict(known)
    if "ui" not in chosen and is_free(UI_PORT) and UI_PORT not in chosen.values():
        chosen["ui"] = UI_PORT
    for field in fields(Ports):
        while field.name not in chosen:
            port = secrets.choice(_PORTS)
            if port not in chosen.values() and is_free(port):
                chosen[field.name] = port
    return Ports(**chosen)


def is_free(port: int) -> bool:
    """Return whether a server could listen on this port of 127.0.0.1."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def write_private(file: Path, text: str) -> None:
    """Replace a file as a whole, also if the power fails meanwhile; only its owner may read it."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as handle:
        handle.write(text)
        handle.flush()
        os.fsync(handle.fileno())  # else the new name may be on the disk before what it names
    partial.replace(file)


def _read_json(file: Path) -> dict[str, Any]:
    return dict(json.loads(file.read_text())) if file.exists() else {}
