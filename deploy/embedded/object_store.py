"""Here: the S3 server: OpenStack Swift with its S3 interface. Not here: its installation (``store_packages``), or what is kept in it.

Its settings differ from Swift's defaults where those are made for hundreds of disks: one device and one replica, and a
listing that is complete when a write has returned, because the pipeline finds its work by listing.
"""

import os
import pwd
import subprocess
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT, LOOPBACK, Home, write_private
from deploy.embedded.swift_node import INNER_SECRET

ENVIRONMENT = CHECKOUT / ".venv-objectstore"
REGION = "us-east-1"

COMPONENTS = ("store-account", "store-container", "store-object", "store-updater", "store")
"""Three servers of data, the updater, which puts into the listings what a killed server missed, and the proxy, which speaks S3."""

_NODE_SCRIPT = str(Path(__file__).with_name("swift_node.py"))


def endpoint(home: Home) -> str:
    """Return the address at which the store speaks S3."""
    return f"http://{LOOPBACK}:{home.ports().store}"


def server_command(home: Home, component: str) -> list[str]:
    """Return the command that runs one of the servers in the foreground."""
    role = {"store": "proxy"}.get(component, component.removeprefix("store-"))
    configuration = {"store-updater": "store-object"}.get(component, component)
    python = str(ENVIRONMENT / "bin" / "python")
    return [python, _NODE_SCRIPT, role, str(home.store), str(home.store / f"{configuration}.conf"), "--verbose"]


def configure(home: Home, *, listen: str = LOOPBACK) -> None:
    """Write the servers' configuration and the rings; what is stored stays. Only the proxy ever listens elsewhere than on 127.0.0.1."""
    (home.store / "devices" / "disk").mkdir(mode=0o700, parents=True, exist_ok=True)
    (home.store / "cache").mkdir(mode=0o700, exist_ok=True)
    _check_attributes(home.store)
    for name, text in _configuration(home, listen).items():
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
    if not hasattr(os, "setxattr"):
        return  # macOS; Swift reaches them there by another way
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


def _configuration(home: Home, listen: str) -> dict[str, str]:
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
    proxy = f"""
[pipeline:main]
pipeline = catch_errors gatekeeper healthcheck memory listing_formats s3api tempauth bulk slo copy proxy-server

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

[filter:memory]
paste.filter_factory = swift_node:memory

[filter:s3api]
use = egg:swift#s3api
location = {REGION}
check_bucket_owner = false
"""
    for name in ("catch_errors", "gatekeeper", "healthcheck", "listing_formats", "bulk", "slo", "copy"):
        proxy += f"\n[filter:{name}]\nuse = egg:swift#{name}\n"
    updates = f"container_update_timeout = 60\n\n[object-updater]\ninterval = 5\nrecon_cache_path = {home.store}/cache\n"
    return {
        INNER_SECRET: secrets.store_inner,
        "swift.conf": f"[swift-hash]\nswift_hash_path_suffix = {secrets.swift_hash}\n",
        "store.conf": shared.format(ip=listen, port=ports.store) + proxy,
        "store-account.conf": server.format(ip=LOOPBACK, port=ports.store_account, kind="account"),
        "store-container.conf": server.format(ip=LOOPBACK, port=ports.store_container, kind="container"),
        "store-object.conf": server.format(ip=LOOPBACK, port=ports.store_object, kind="object") + updates,
    }
