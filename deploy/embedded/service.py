"""Here: the stack as a service of systemd: its unit, its start and its planned stop. Not here: mending (``guardian``).

``python -m deploy.embedded.service HOME start`` becomes the supervisor; ``… HOME stop`` is a planned stop.
"""

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from deploy.embedded import bucket, object_store, processes, store_packages, supervision
from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT, Home, write_private
from deploy.embedded.stack import Stack

Scope = Literal["user", "system"]

WATCHDOG_S = 120
"""A stack whose guardian has told nothing for so long is restarted as a whole."""
STOP_S = 150
"""Tasks get ten seconds, every component its own time, and the rest is a busy machine's."""
SETTINGS = "service.env"
"""File of the state folder with the variables that the service starts with; only its owner may read it."""
_KEPT = re.compile(r"ECG_|AWS_|OTEL_|OPENLINEAGE_|SSL_CERT|REQUESTS_CA|UV_|(https?|no|all)_proxy$|TZ$|LANG$|LC_", re.IGNORECASE)
_ROOTS = "CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETPCAP CAP_SETUID"
_NOT_KEPT = {"ECG_HOME", *processes.MARKS}


def unit_name(home: Home) -> str:
    """Return the name of the unit; a state folder of another name than usual has a unit of its own.

    >>> unit_name(Home("/srv/hospital/ecg"))
    'ecg-srv-hospital-ecg.service'
    """
    if home.path == CHECKOUT / ".ecg":
        return "ecg.service"
    return f"ecg-{re.sub('[^A-Za-z0-9]+', '-', str(home)).strip('-')}.service"


def unit_file(home: Home, scope: Scope) -> Path:
    """Return where the unit lies."""
    if scope == "system":
        return Path("/etc/systemd/system") / unit_name(home)
    configuration = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(configuration) / "systemd" / "user" / unit_name(home)


def unit(home: Home, scope: Scope, *, user: str) -> str:
    """Return the text of the unit: no secret is in it.

    Parameters
    ----------
    user : as whom a unit of the system runs
    """
    words = (sys.executable, "-P", "-m", "deploy.embedded.service", str(home))
    command = " ".join(_quoted(word).replace("$", "$$") for word in words)
    lines = [
        "[Unit]",
        "Description=ECG spectrograms: PostgreSQL, object store and Airflow",
        f"Documentation=file://{str(CHECKOUT / 'docs' / 'operations.md').replace(' ', '%%20')}",
        "After=network-online.target" if scope == "system" else "",
        "Wants=network-online.target" if scope == "system" else "",
        "StartLimitIntervalSec=0",
        "",
        "[Service]",
        "Type=notify",
        "NotifyAccess=all",
        f"ExecStart={command} start",
        f"ExecStop={command} stop",
        f"WorkingDirectory={_percent(str(CHECKOUT))}",
        f"Environment={_quoted(f'PYTHONPATH={CHECKOUT}')} {_quoted(f'ECG_HOME={home}')}",
        f"EnvironmentFile=-{_percent(str(home.path / SETTINGS))}",
        f"User={user}" if scope == "system" else "",
        "# Every end but one that was asked for is mended.",
        "Restart=always",
        "RestartPreventExitStatus=0",
        "RestartSec=1",
        "TimeoutStartSec=900",
        f"TimeoutStopSec={STOP_S}",
        f"WatchdogSec={WATCHDOG_S}",
        "KillMode=mixed",
        "OOMPolicy=continue",
        "",
        *_walls(home, scope, user),
        "",
        "[Install]",
        "WantedBy=multi-user.target" if scope == "system" else "WantedBy=default.target",
        "",
    ]
    return "\n".join(line for before, line in zip(["", *lines], lines, strict=False) if line or before)


def _walls(home: Home, scope: Scope, user: str) -> list[str]:
    """Return what the service may not do; a user's systemd can hold only what needs no root."""
    walls = [
        "UMask=0077",
        "LimitCORE=0",
        "NoNewPrivileges=yes",
        "RestrictSUIDSGID=yes",
        "RestrictRealtime=yes",
        "LockPersonality=yes",
        "SystemCallArchitectures=native",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    ]
    if scope == "user":
        return walls
    writable = [f"-{path}" for path in (home.path, object_store.ENVIRONMENT, CHECKOUT / ".venv-setup")]
    walls += [
        "ProtectSystem=strict",
        "ReadWritePaths=" + " ".join(_quoted(path) for path in writable),
        "ProtectKernelTunables=yes",
        "ProtectKernelModules=yes",
        "ProtectKernelLogs=yes",
        "ProtectControlGroups=yes",
        "ProtectClock=yes",
        "ProtectHostname=yes",
        # root's PostgreSQL runs as nobody, and walks through folders that are closed to it
        f"CapabilityBoundingSet={_ROOTS if user == 'root' else ''}",
    ]
    # A private /tmp would hide a checkout or a state folder that lies there.
    shared = any(path.is_relative_to(folder) for path in (home.path, CHECKOUT) for folder in ("/tmp", "/var/tmp"))  # noqa: S108 - only named
    return [*walls, "ReadWritePaths=/tmp" if shared else "PrivateTmp=yes"]


def install(home: Home, scope: Scope) -> str:
    """Write and enable the unit, so that the stack starts at boot and now; returns what systemd said, empty when all went well.

    Raises
    ------
    StackError
        If there is no systemd to be asked, this user may not, or systemd refuses the unit.
    """
    _require(scope)
    home.path.mkdir(mode=0o700, parents=True, exist_ok=True)  # what is in it, its owner makes
    owner = pwd.getpwuid(home.path.stat().st_uid).pw_name
    text = unit(home, scope, user=owner)
    # An older systemd passes over words that it does not know.
    if wrong := [line for line in complaints(text, unit_name(home), scope) if "Unknown key" not in line]:
        raise StackError(f"systemd refuses the unit: {'; '.join(wrong)}")
    if bucket.is_embedded(home) and not os.environ.get("ECG_BUCKET"):
        store_packages.ensure_installed()
    settings = home.path / SETTINGS
    write_private(settings, settings_text(os.environ))
    os.chown(settings, home.path.stat().st_uid, home.path.stat().st_gid)
    file = unit_file(home, scope)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    said = _systemctl(scope, "daemon-reload") or _systemctl(scope, "enable", file.name)
    return said or _systemctl(scope, "restart", file.name)


def remove(home: Home, scope: Scope) -> bool:
    """Stop the service and take its unit away; the state stays. Returns whether there was one."""
    _require(scope)
    file = unit_file(home, scope)
    if not file.exists():
        return False
    said = _systemctl(scope, "disable", "--now", file.name)
    if said:
        raise StackError(f"systemd did not stop {file.name}: {said}")
    file.unlink()
    (home.path / SETTINGS).unlink(missing_ok=True)
    _systemctl(scope, "daemon-reload")
    return True


def state(home: Home, scope: Scope) -> dict[str, str]:
    """Return what systemd says of the unit: ``ActiveState``, ``SubState``, ``UnitFileState``, ``StatusText``, ``NRestarts``, ``Linger``.

    Empty where there is no unit.
    """
    file = unit_file(home, scope)
    if not file.exists():
        return {}
    names = "ActiveState,SubState,UnitFileState,StatusText,NRestarts"
    done = subprocess.run(  # noqa: S603 - systemd's own program, and no shell
        [*_systemctl_of(scope), "show", file.name, f"--property={names}"], capture_output=True, text=True, check=False, timeout=5
    )
    if done.returncode != 0:
        raise StackError(f"systemd does not tell about {file.name}: {done.stderr.strip()}")
    found = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if scope == "user":
        found["Linger"] = "yes" if lingers() else "no"
    return found


def lingers() -> bool:
    """Return whether services of this user start at boot, and run when the user is not logged in."""
    return (Path("/var/lib/systemd/linger") / pwd.getpwuid(os.geteuid()).pw_name).exists()


def complaints(text: str, name: str, scope: Scope) -> list[str]:
    """Return what systemd's own checker says against a unit; nothing where the checker is not there."""
    checker = shutil.which("systemd-analyze")
    if checker is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / name
        file.write_text(text)
        command = [checker, "verify", f"--{scope}", str(file)]
        done = subprocess.run(  # noqa: S603 - no shell
            command, env={"XDG_RUNTIME_DIR": folder} | os.environ, capture_output=True, text=True, check=False
        )
    return [line for line in done.stderr.splitlines() if name in line]


def settings_text(environ: Mapping[str, str]) -> str:
    """Return the variables that steer the stack, as systemd reads them (``EnvironmentFile``).

    >>> print(settings_text({"ECG_RECIPES": "heartbeat", "HOME": "/root", "ECG_HOME": "/srv"}), end="")
    ECG_RECIPES="heartbeat"
    """
    kept = steering(environ)
    if not environ.get("ECG_BUCKET"):  # without it the AWS variables are a person's own
        kept = {name: value for name, value in kept.items() if not name.startswith("AWS_")}
    escaped = {name: re.sub(r'(["\\$`])', r"\\\1", value) for name, value in kept.items() if "\n" not in value}
    return "".join(f'{name}="{value}"\n' for name, value in escaped.items())


def steering(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that steer a stack."""
    return {name: value for name, value in sorted(environ.items()) if _KEPT.match(name) and name not in _NOT_KEPT}


def serving(home: Home) -> Scope | None:
    """Return whose systemd runs the stack; None where none does, or it does not say."""
    scopes: tuple[Scope, ...] = ("system", "user")
    with suppress(OSError, StackError, subprocess.TimeoutExpired):
        return next((scope for scope in scopes if state(home, scope).get("ActiveState") in {"active", "activating"}), None)
    return None


def begin(home: Home, scope: Scope) -> str:
    """Have systemd start the stack, and wait for that; returns what is wrong, empty when it runs."""
    return _systemctl(scope, "--no-ask-password", "start", unit_name(home))


def start(home: Home) -> None:
    """Become the supervisor, whose guardian starts the rest. A stack that was started by hand is stopped first, in order."""
    stack = Stack(home.path)
    if supervision.pid(home):
        stack.down()
    with stack.alone():
        stack.prepare(guarded=True)
    command = [*supervision.command(home), "-n"]
    os.execve(command[0], command, supervision.environment(home) | {"ECG_HOME": str(home)})  # noqa: S606 - no shell is wanted


def main() -> None:
    """Start or stop; the arguments are the state folder and which."""
    home, what = Home(sys.argv[1]), sys.argv[2]
    if what == "start":
        start(home)
    elif supervision.pid(home):
        Stack(home.path).down()


def _require(scope: Scope) -> None:
    if shutil.which("systemctl") is None:
        raise StackError(
            "this machine has no systemd; without it the guardian repairs a running stack, and you have to call ./ecg up at boot"
        )
    if scope == "system" and os.geteuid() != 0:
        raise StackError("only root can install a service of the machine: sudo ./ecg service install --system; or use --user")


def _systemctl_of(scope: Scope) -> list[str]:
    return ["systemctl", "--user"] if scope == "user" else ["systemctl"]


def _systemctl(scope: Scope, *arguments: str) -> str:
    """Give an order; returns what is wrong, empty when it was done."""
    done = subprocess.run([*_systemctl_of(scope), *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - no shell
    return "" if done.returncode == 0 else done.stderr.strip() or f"systemctl ended with {done.returncode}"


def _quoted(word: str) -> str:
    return _percent('"' + re.sub(r'(["\\])', r"\\\1", word) + '"') if re.search(r"[^\w./:=@+,-]", word) else _percent(word)


def _percent(text: str) -> str:
    """Escape a text: systemd expands ``%``."""
    return text.replace("%", "%%")


if __name__ == "__main__":
    main()
