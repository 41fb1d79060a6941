"""Here: a certificate that is made, kept and renewed, and the check of one that is given. Not here: who serves with it (``api_server``)."""

import ipaddress
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from deploy.embedded.home import write_private

LIFETIME = timedelta(days=397)
"""The longest that browsers accept."""
RENEWED = timedelta(days=30)
"""So long before its end a made certificate is replaced."""


def ensure_made(folder: Path, names: Sequence[str]) -> tuple[Path, Path]:
    """Return a self-signed certificate for these names and its key, made when it is missing, near its end, or for other names.

    Browsers warn of it until a person trusts it: compare its SHA-256 (`fingerprint`) with what the browser shows.
    """
    cert, key = folder / "made.pem", folder / "made.key"
    if not (cert.exists() and key.exists() and _is_good(cert, names)):
        _make(cert, key, names)
    return cert, key


def check(cert: Path, key: Path) -> None:
    """Check a certificate and its key.

    Raises
    ------
    ValueError
        If one cannot be read, they do not belong together, or the certificate is not valid now.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=_no_password)
        ends = _load(cert).not_valid_after_utc
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ValueError(f"{cert} and {key} are no certificate with its key: {error}") from error
    if ends <= datetime.now(UTC):
        raise ValueError(f"{cert} ended on {ends:%Y-%m-%d}")


def ends(cert: Path) -> datetime:
    """Return when a certificate ends."""
    return _load(cert).not_valid_after_utc


def fingerprint(cert: Path) -> str:
    """Return the SHA-256 of a certificate, as browsers show it."""
    return _load(cert).fingerprint(hashes.SHA256()).hex(":").upper()


def _no_password() -> str:
    raise ValueError("the key has a password, and nobody is there to enter it")


def _load(cert: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(cert.read_bytes())


def _is_good(cert: Path, names: Sequence[str]) -> bool:
    try:
        made = _load(cert)
    except ValueError:
        return False
    found = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return list(found) == list(map(_name, names)) and made.not_valid_after_utc > datetime.now(UTC) + RENEWED


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _make(cert: Path, key: Path, names: Sequence[str]) -> None:
    """Write a new key and its certificate; each file is replaced as a whole, the key first."""
    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ECG, made by itself")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # for a clock that is behind
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectAlternativeName(map(_name, names)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    encoded = private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for file, data in ((key, encoded), (cert, made.public_bytes(serialization.Encoding.PEM))):
        write_private(file, data.decode())
