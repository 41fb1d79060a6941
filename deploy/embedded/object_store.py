"""Here: the S3 server: OpenStack Swift with its S3 interface. Not here: its installation (``store_packages``), or the bucket (``bucket``).

Its settings differ from Swift's defaults where those are made for hundreds of disks: one device and one replica, and a
listing that is complete when a write has returned, because the pipeline finds its work by listing.
"""

import json
import os
import pwd
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.embedded import store_cipher
from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT, LOOPBACK, Home, write_private
from deploy.embedded.swift_kept import KEEPER, USER, derived
from deploy.embedded.swift_node import INNER_SECRET
from ecg_tasks.archive import keys

ENVIRONMENT = CHECKOUT / ".venv-objectstore"
REGION = "us-east-1"

COMPONENTS = ("store-data", "store")
"""Swift's three servers of data in one process, which also puts into the listings what they missed, and the proxy, which speaks S3."""

NOTES_REQUESTS = False
"""Whether a store that is started by this process notes the kind of each request (`requests`): for benchmarks, which set it."""

_NODE_SCRIPT = str(Path(__file__).with_name("swift_node.py"))
_KEPT_SCRIPT = str(Path(__file__).with_name("swift_kept.py"))


@dataclass(frozen=True, kw_only=True)
class KeptCopy:
    """One copy that the store set aside: of which object, when (seconds since 1970, as the store tells it), and its size."""

    key: str
    stamp: str
    n_bytes: int


def kept_days(environ: Mapping[str, str] = os.environ) -> float:
    """Return for how many days the store keeps what is written over or deleted (``ECG_STORE_KEEPS_DAYS``, 30 by default); 0: not at all.

    Raises
    ------
    StackError
        If it is no number, or less than 0.
    """
    given = environ.get("ECG_STORE_KEEPS_DAYS", "") or "30"
    try:
        days = float(given)
    except ValueError:
        days = -1.0
    if not 0 <= days < float("inf"):
        raise StackError(f"ECG_STORE_KEEPS_DAYS is {given!r}; write a number of days, 0 for none")
    return days


def erase_key(home: Home) -> str:
    """Return the key with which what must be forgotten is deleted without a copy."""
    return derived(home.secrets().store_inner, "erase")


def kept_copies(home: Home, prefix: str = "") -> Iterator[KeptCopy]:
    """Yield what the store has set aside below a prefix, by key and time; the store has to run."""
    for line in _kept(home, "list", prefix).splitlines():
        one = json.loads(line)
        yield KeptCopy(key=one["key"], stamp=one["stamp"], n_bytes=one["bytes"])


def take_back(home: Home, key: str, stamp: str = "") -> str:
    """Put a copy back, the latest unless told, in place of what stands there now, which is set aside; returns its stamp.

    Raises
    ------
    StackError
        If nothing is kept of this object, or the store does not run.
    """
    return _kept(home, "back", key, *filter(None, [stamp])).strip()


def _kept(home: Home, what: str, *arguments: str) -> str:
    command = [str(ENVIRONMENT / "bin" / "python"), _KEPT_SCRIPT, what, str(home.store), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program, and no shell
    if done.returncode != 0:
        told = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise StackError(f"what the store keeps cannot be used: {told[:500]}")
    return done.stdout


def endpoint(home: Home) -> str:
    """Return the address at which the store speaks S3."""
    return f"http://{LOOPBACK}:{home.ports().store}"


def changes(home: Home) -> Path:
    """Return the file whose time is another one after each request that may have changed something in the store."""
    return home.store / "cache" / "changed"


def requests(home: Home) -> Path:
    """Return the file with a line for each request, if they are noted."""
    return home.store / "cache" / "requests"


def server_command(home: Home, component: str) -> list[str]:
    """Return the command that runs one of the servers in the foreground."""
    python = str(ENVIRONMENT / "bin" / "python")
    if component == "store-data":
        return [python, _NODE_SCRIPT, "data", str(home.store)]
    return [python, _NODE_SCRIPT, "proxy", str(home.store), str(home.store / "store.conf"), "--verbose"]


def configure(home: Home, *, listen: str = LOOPBACK, erase: str = "") -> None:
    """Write the servers' configuration and the rings; what is stored stays. Only the proxy ever listens elsewhere than on 127.0.0.1.

    ``erase`` is the key with which what must be forgotten is deleted, where it is not the one of `erase_key`.
    """
    (home.store / "devices" / "disk").mkdir(mode=0o700, parents=True, exist_ok=True)
    (home.store / "cache").mkdir(mode=0o700, exist_ok=True)
    _check_attributes(home.store)
    for name, text in _configuration(home, listen, erase or erase_key(home)).items():
        write_private(home.store / name, text)
    ports = home.ports()
    addresses = [f"account={ports.store_account}", f"container={ports.store_container}", f"object={ports.store_object}"]
    command = [str(ENVIRONMENT / "bin" / "python"), _NODE_SCRIPT, "rings", str(home.store), *addresses]
    made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program, and no shell
    if made.returncode != 0:
        raise StackError(f"the object store's rings could not be made in {home.store}: {made.stderr.strip()}")


def forget_deleted(home: Home) -> None:
    """Remove the names of deleted objects from the files of a store that is not at work; one at work does so for what is a day old."""
    command = [str(ENVIRONMENT / "bin" / "python"), _NODE_SCRIPT, "forget", str(home.store)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own program, and no shell
    if done.returncode != 0:
        raise StackError(f"the names of deleted objects could not be removed from {home.store}: {done.stderr.strip()[-500:]}")


def _check_attributes(folder: Path) -> None:
    """Check for extended attributes, in which Swift keeps an object's metadata beside its file; some file systems have none."""
    probe = folder / ".attributes"
    probe.touch(mode=0o600)
    try:
        os.setxattr(probe, "user.swift.probe", b"1")
    except OSError as error:
        raise StackError(
            f"the file system of {folder} keeps no extended attributes ({error.strerror}); set ECG_HOME to a folder on ext4, xfs or btrfs"
        ) from error
    finally:
        probe.unlink()


def _configuration(home: Home, listen: str, erase: str) -> dict[str, str]:
    secrets, ports = home.secrets(), home.ports()
    account, user = secrets.s3_access_key.split(":")
    shared = f"""[DEFAULT]
bind_ip = {{ip}}
bind_port = {{port}}
workers = 0
user = {pwd.getpwuid(os.geteuid()).pw_name}
swift_dir = {home.store}
devices = {home.store}/devices
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
log_level = WARNING
log_address = /dev/null
recon_cache_path = {home.store}/cache
"""
    server = f"""{shared}
[pipeline:main]
pipeline = gate {{kind}}-server

[filter:gate]
paste.filter_factory = swift_node:gate
secret_file = {home.store / INNER_SECRET}

[app:{{kind}}-server]
use = egg:swift#{{kind}}
"""
    # A kept ring has one node: to set it aside after errors would close the whole store, so it never is.
    days = kept_days()
    keep = "keep " if days else ""
    noted = "noted " if NOTES_REQUESTS else ""
    cipher, cipher_settings = store_cipher.filters(store_cipher.key_file(home))
    proxy = f"""
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck {noted}mark memory listing_formats s3api tempauth bulk copy {keep}slo {cipher}proxy-server

[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
expose_info = false
allow_account_management = true
node_timeout = 60
recoverable_node_timeout = 60
conn_timeout = 5
error_suppression_interval = 0.1
error_suppression_limit = 1000000

[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{user} = {secrets.s3_secret_key} .admin
user_{USER.replace(":", "_")} = {derived(secrets.store_inner, "keeper")} .reseller_admin

[filter:keep]
paste.filter_factory = swift_kept:keep
prefixes = {" ".join(keys.SET_ASIDE)}
keeper_file = {home.store / KEEPER}

[filter:noted]
paste.filter_factory = swift_noted:noted
file = {requests(home)}

[filter:mark]
paste.filter_factory = swift_node:mark
file = {changes(home)}

[filter:memory]
paste.filter_factory = swift_node:memory

[filter:s3api]
use = egg:swift#s3api
location = {REGION}
check_bucket_owner = false
"""
    for name in ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "slo", "copy"):
        proxy += f"\n[filter:{name}]\nuse = egg:swift#{name}\n"
    proxy += cipher_settings
    updates = f"container_update_timeout = 60\n\n[object-updater]\nrecon_cache_path = {home.store}/cache\n"
    keeper = {
        "port": ports.store,
        "key": derived(secrets.store_inner, "keeper"),
        "erase": erase,
        "days": days,
        "account": f"AUTH_{account}",
    }
    return {
        INNER_SECRET: secrets.store_inner,
        KEEPER: json.dumps(keeper),
        "swift.conf": f"[swift-hash]\nswift_hash_path_suffix = {secrets.swift_hash}\n",
        "store.conf": shared.format(ip=listen, port=ports.store) + proxy,
        "store-account.conf": server.format(ip=LOOPBACK, port=ports.store_account, kind="account"),
        "store-container.conf": server.format(ip=LOOPBACK, port=ports.store_container, kind="container"),
        "store-object.conf": server.format(ip=LOOPBACK, port=ports.store_object, kind="object") + updates,
    }
