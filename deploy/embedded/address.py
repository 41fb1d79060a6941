"""Here: where people reach the web interface: its address, and TLS where it is asked for. Not here: where tasks do (``airflow.ui``).

Without a setting that is this machine alone, without TLS. ``ECG_TLS=made`` serves with a certificate that is made and kept in the state
folder, ``ECG_TLS_CERT`` and ``ECG_TLS_KEY`` with one that is given; then ``ECG_UI_ADDRESS`` may be an address of the network.
"""

import ipaddress
import json
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

from deploy.embedded.errors import StackError
from deploy.embedded.home import LOOPBACK, Home, is_free, write_private

TLS_PORT = 8443


@dataclass(frozen=True, kw_only=True)
class Address:
    """What the last start chose.

    Parameters
    ----------
    url : what people enter; empty: the address on this machine
    host, port : where TLS is served; empty and 0 without it
    cert, key : files of the certificate
    made_for : names for which the certificate is made here; empty where it is given
    """

    url: str = ""
    host: str = ""
    port: int = 0
    cert: str = ""
    key: str = ""
    made_for: tuple[str, ...] = ()

    @property
    def has_tls(self) -> bool:
        """Whether people come by TLS."""
        return bool(self.cert)

    def arguments(self) -> list[str]:
        """Return the arguments of ``deploy.embedded.api_server``: none without TLS."""
        if not self.has_tls:
            return []
        made = ["--made-for", ",".join(self.made_for)] if self.made_for else []
        return ["--tls-host", self.host, "--tls-port", str(self.port), "--cert", self.cert, "--key", self.key, *made]


def choose(home: Home, environ: Mapping[str, str]) -> None:
    """Choose the address at a start, until the next one.

    Raises
    ------
    StackError
        If the settings contradict one another, or the certificate cannot be used.
    """
    write_private(home.path / "address.json", json.dumps(asdict(wanted(home, environ)), indent=2))


def chosen(home: Home) -> Address:
    """Return what the last start chose."""
    file = home.path / "address.json"
    known = json.loads(file.read_text()) if file.exists() else {}
    return Address(**{**known, "made_for": tuple(known.get("made_for", ()))})


def wanted(home: Home, environ: Mapping[str, str]) -> Address:
    """Return what the settings ask for; a certificate that is to be made is made."""
    url, host = environ.get("ECG_UI_URL", "").rstrip("/"), environ.get("ECG_UI_ADDRESS", "") or LOOPBACK
    tls, cert, key = (environ.get(name, "") for name in ("ECG_TLS", "ECG_TLS_CERT", "ECG_TLS_KEY"))
    if tls not in ("", "made"):
        raise StackError(
            f"ECG_TLS is {tls!r}; it must be made, or not be set: a given certificate is named by ECG_TLS_CERT and ECG_TLS_KEY"
        )
    if bool(cert) != bool(key) or (tls and cert):
        raise StackError("TLS takes either ECG_TLS=made, or both ECG_TLS_CERT and ECG_TLS_KEY")
    if url and (urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname or urlsplit(url).path):
        raise StackError(f"ECG_UI_URL is {url!r}; it must be such as https://ecg.hospital.example:8443, without a path")
    if not tls and not cert:
        if not _is_loopback(host):
            raise StackError(
                f"ECG_UI_ADDRESS={host} needs TLS, since passwords would go through the network: set ECG_TLS=made or ECG_TLS_CERT"
            )
        return Address(url=url)
    port = int(environ.get("ECG_UI_PORT", "") or TLS_PORT)
    if not is_free(port):
        raise StackError(f"port {port} is taken by another program; set ECG_UI_PORT to another one")
    everywhere = host in ("0.0.0.0", "::")  # noqa: S104 - compared only
    name = socket.getfqdn() if everywhere else host
    url = url or f"https://{f'[{name}]' if ':' in name else name}:{port}"
    made_for: tuple[str, ...] = ()
    from deploy.embedded import certificate  # and with it cryptography, for which a question about this stack does not wait

    try:
        if tls:
            names = ("localhost", LOOPBACK, "::1", socket.gethostname(), *(() if everywhere else (host,)), urlsplit(url).hostname or "")
            made_for = tuple(dict.fromkeys(filter(None, names)))
            cert, key = map(str, certificate.ensure_made(home.path / "tls", made_for))
        certificate.check(Path(cert), Path(key))
    except ValueError as error:
        raise StackError(str(error)) from error
    return Address(url=url, host=host, port=port, cert=str(Path(cert).resolve()), key=str(Path(key).resolve()), made_for=made_for)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
