"""Here: what somebody without credentials tries on a stack. Not here: what must come of it (``test_stranger``).

Run by itself, as another user, with the standard library only: it reads the ports, the state folder and the processes as JSON from standard
input, and writes what it got as JSON.
"""

import base64
import http.client
import json
import os
import socket
import struct
import sys
from pathlib import Path

PARTITIONS = 256
"""Of the store's rings."""
WRITES = ("/ecg/inbox/intruder.csv", "/ecg/models/heartbeat/champion.json", "/v1/AUTH_ecg/ecg/inbox/intruder.csv")
READS = (
    "/",
    "/info",
    "/healthcheck",
    "/recon/async",
    "/recon/ringmd5",
    "/ecg",
    "/ecg?list-type=2",
    "/ecg?uploads",
    "/ecg?versions",
    "/ecg/models/heartbeat/champion.json",
    "/v1/AUTH_ecg",
    "/v1/AUTH_ecg/ecg?format=json",
    "/AUTH_ecg/ecg?format=json",
    "/auth/v1.0",
    "/RPC2",
    "/logtail/scheduler",
    "/mainlogtail",
    "/api/v2/dags",
    "/api/v2/assets",
    "/api/v2/connections",
    "/api/v2/variables",
    "/api/v2/config",
    "/api/v2/eventLogs",
    "/api/v2/dags/~/dagRuns",
    "/api/v2/dags/~/dagRuns/~/taskInstances",
    "/api/v2/importErrors",
    "/ui/config",
    "/ui/dashboard/historical_metrics_data",
    "/execution/variables/secret",
    "/execution/connections/smtp_default",
    "/ecg/",
    "/ecg/records",
    "/ecg/review",
    "/ecg/quarantine",
    "/ecg/reports",
    "/auth/login",
    "/auth/login/",
    "/auth/token",
    "/auth/fab/v1/users",
    "/auth/fab/v1/roles",
    "/auth/users/list/",
    "/log/",
)
CALLS = ("supervisor.getAllProcessInfo", "supervisor.readLog", "supervisor.getSupervisorVersion")


def ask(port, method, path, *, body=b"", headers=None):
    """One request; its status and the answer's body, or the fault's name."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body=body or None, headers=headers or {})
        answer = connection.getresponse()
        return {"port": port, "method": method, "path": path, "status": answer.status, "body": _text(answer.read(2_000_000))}
    except (OSError, http.client.HTTPException) as fault:
        return {"port": port, "method": method, "path": path, "status": 0, "body": type(fault).__name__}
    finally:
        connection.close()


def database(port, user):
    """What PostgreSQL says to a start of ``user`` without a password: the answer's first bytes."""
    message = b"\x00\x03\x00\x00" + b"".join(part.encode() + b"\0" for part in ("user", user, "database", "airflow")) + b"\0"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(struct.pack("!i", len(message) + 4) + message)
            asked = connection.recv(1000)
            wrong = b"wrong\0"
            connection.sendall(b"p" + struct.pack("!i", len(wrong) + 4) + wrong)
            return _text(asked + connection.recv(1000))
    except OSError as fault:
        return type(fault).__name__


def requests(port):
    """Everything that is tried on one port, whatever listens there."""
    yield from (ask(port, "GET", path) for path in READS)
    for path in WRITES:
        yield ask(port, "PUT", path, body=b"intruder", headers={"Content-Type": "text/plain", "X-Timestamp": "9999999999.00000"})
        yield ask(port, "DELETE", path, headers={"X-Timestamp": "9999999999.00000"})
    for partition in range(PARTITIONS):
        for path in (f"/disk/{partition}/AUTH_ecg?format=json", f"/disk/{partition}/AUTH_ecg/ecg?format=json"):
            yield ask(port, "GET", path)
    yield ask(port, "REPLICATE", "/disk/0")
    yield ask(port, "GET", "/disk/0/AUTH_ecg?format=json", headers={"X-Ecg-Inner-Secret": ""})
    for call in CALLS:
        body = f"<?xml version='1.0'?><methodCall><methodName>{call}</methodName><params></params></methodCall>".encode()
        for login in ("ecg:", "ecg:ecg", ":"):
            yield ask(port, "POST", "/RPC2", body=body, headers={"Authorization": "Basic " + base64.b64encode(login.encode()).decode()})
    for password in ("", "admin", "airflow"):
        body = json.dumps({"username": "admin", "password": password}).encode()
        yield ask(port, "POST", "/auth/token", body=body, headers={"Content-Type": "application/json"})
    yield ask(port, "POST", "/auth/token/cli", body=b"{}", headers={"Content-Type": "application/json"})
    yield ask(port, "GET", "/api/v2/dags", headers={"Authorization": "Bearer eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9."})


def connects(path):
    """Whether this user gets through to a unix socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
        except OSError:
            return False
    return True


def readable(folder):
    """Files and folders below ``folder`` that this user can read or list."""
    return [str(Path(where, name)) for where, folders, files in os.walk(folder) for name in folders + files if _is_open(Path(where, name))]


def environments(pids):
    """Processes whose environment this user can read."""
    found = []
    for pid in pids:
        try:
            found += [pid] if Path(f"/proc/{pid}/environ").read_bytes() else []
        except OSError:
            continue
    return found


def _is_open(path):
    return os.access(path, os.R_OK)


def _text(data):
    return data.decode("latin-1")


if __name__ == "__main__":
    told = json.load(sys.stdin)
    got = {
        "user": os.geteuid(),
        "answers": [answer for port in told["http"] for answer in requests(port)],
        "database": [database(told["postgres"], user) for user in ("airflow", "postgres", "nobody")],
        "files": [] if told["same_user"] else readable(told["folder"]),
        "connected": [] if told["same_user"] else [path for path in told["unix"] if connects(path)],
        "environments": [] if told["same_user"] else environments(told["pids"]),
    }
    json.dump(got, sys.stdout)
