"""Here: the key with which the store encrypts what it writes, in a file away from the store. Not here: the cipher, which is Swift's own.

Swift's proxy encrypts contents and ETags with AES-256, each object by a key of its own made of this one. Names, sizes and times stay
readable, and so does what was written before. The proxy and who may read its memory see everything: this is against a lost disk.
"""

import base64
import binascii
import configparser
import hashlib
import hmac
import json
import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.home import Home, write_private

SETTING = "ECG_STORE_KEY_FILE"
NOTE = "encrypted.json"
"""Among the store's data, so that a backup has it: where the key was, and by what it is known."""
_SECTION, _OPTION = "keymaster", "encryption_root_secret"
_MIN_BYTES = 32


def key_file(home: Home, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file with the store's key, made where there is none yet; None while the store encrypts nothing.

    A store that has once encrypted goes on doing so with the same key, also without the setting.

    Raises
    ------
    StackError
        If the key is not where it was, is another one, or would lie beside what it opens.
    """
    noted = home.store / "devices" / "disk" / NOTE
    known = json.loads(noted.read_text()) if noted.exists() else {}
    given = environ.get(SETTING) or known.get("key_file")
    if not given:
        return None
    file = Path(given).expanduser().resolve()
    if file.is_relative_to(home.path):
        raise StackError(f"{SETTING} is in {home}: anyone who gets that disk would get the key, too; name a file elsewhere")
    if not file.exists():
        if known:
            raise StackError(
                f"the store is encrypted, and its key is not in {file}: bring that file back, or name it by {SETTING}; "
                "without it nobody can read what is in the store"
            )
        _make(file)
    check = hmac.new(_key(file), b"check", hashlib.sha256).hexdigest()
    if known and not hmac.compare_digest(str(known["check"]), check):
        raise StackError(f"{file} holds another key than the one with which the store is encrypted; nothing was started or changed")
    if known.get("key_file") != str(file):
        write_private(noted, json.dumps({"key_file": str(file), "check": check}))
    return file


def filters(file: Path | None) -> tuple[str, str]:
    """Return what stands in the proxy's pipeline, and its settings; the key itself is in neither."""
    if file is None:
        return "", ""
    keymaster = f"[filter:keymaster]\nuse = egg:swift#keymaster\nkeymaster_config_path = {file}\n"
    return "keymaster encryption ", f"\n{keymaster}\n[filter:encryption]\nuse = egg:swift#encryption\n"


def _make(file: Path) -> None:
    secret = base64.b64encode(secrets.token_bytes(_MIN_BYTES)).decode()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(
            file, f"# the key of the ECG store: keep a copy elsewhere, without it nothing can be read\n[{_SECTION}]\n{_OPTION} = {secret}\n"
        )
    except OSError as error:
        raise StackError(f"no key could be written to {file}, as {SETTING} asks: {error.strerror}") from None


def _key(file: Path) -> bytes:
    found = configparser.ConfigParser(interpolation=None)
    try:
        found.read_string(file.read_text())
        key = base64.b64decode(found[_SECTION][_OPTION], validate=True)
    except (OSError, UnicodeDecodeError, configparser.Error, KeyError, binascii.Error):
        key = b""
    if len(key) < _MIN_BYTES:
        raise StackError(f"{file} holds no key of the store ([{_SECTION}], {_OPTION} = 32 bytes or more in base64)")
    return key
