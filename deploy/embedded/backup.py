"""Here: the whole state of a stack as one file, and a stack restored from it. Not here: the commands (``ecg_tasks.cli.backup``).

The file is a tar archive: the secrets, a dump of Airflow's database, the tasks' logs, and the object store's files with their extended
attributes, as GNU tar writes them (``--xattrs``), so that every object keeps its time; and last the SHA-256 of all of these, without
which an archive is not taken for whole. The dump, unlike the database's own files, is read by any later PostgreSQL.
"""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import IO

from deploy.embedded import airflow, bucket, object_store, postgres, processes, sealing, service, store_packages, supervision
from deploy.embedded.errors import StackError
from deploy.embedded.home import CHECKOUT, LOOPBACK, Home
from deploy.embedded.stack import Stack

FORMAT = 1
ABOUT, SECRETS, DUMP, SUMS = "ecg-backup.json", "secrets.json", "airflow.dump", "SHA256SUMS"
FOLDERS = (PurePosixPath("logs/tasks"), PurePosixPath("store/devices"))
"""Below the state folder; everything else there is made again at every start."""
_XATTR = "SCHILY.xattr."
_CHUNK = 1024 * 1024

Say = Callable[[str], None]


def back_up(stack: Stack, file: Path, say: Say) -> None:
    """Write the state of a stack into a file that only its owner may read; a stack that is up is stopped meanwhile.

    Raises
    ------
    StackError
        If there is no stack in this state folder, a key for which the file shall be encrypted is none, or the file cannot be written.
    """
    keys = sealing.recipients()
    if not stack.home.exists:
        raise StackError(f"there is no stack in {stack.home}: nothing to back up")
    elsewhere = bucket.chosen(stack.home)
    unfinished = file.with_name(f"{file.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600, exist_ok=False)
    except OSError as error:
        raise StackError(f"{file} cannot be written: {error.strerror}; nothing was stopped") from error
    with _stopped(stack, say):
        try:
            with stack.alone(say):
                with unfinished.open("wb") as target, tempfile.TemporaryDirectory(dir=stack.home.path) as scratch:
                    dump = Path(scratch) / DUMP
                    say("dumping Airflow's database")
                    with _database(stack.home):
                        _run_client("pg_dump", stack.home, "--format=custom", "--no-owner", f"--file={dump}")
                    say("copying the object store and the logs")
                    if bucket.is_embedded(stack.home):
                        store_packages.ensure_installed()
                        object_store.forget_deleted(stack.home)
                    with sealing.sealed(target, keys) if keys else nullcontext(target) as content:
                        n_files = write_archive(stack.home, dump, content)
                    os.fsync(target.fileno())
                unfinished.replace(file)
        except OSError as error:
            raise StackError(f"the backup could not be written: {error}") from error
        finally:
            with suppress(OSError):
                unfinished.unlink(missing_ok=True)
    say(f"{n_files:,} files, {file.stat().st_size / 1e6:,.1f} MB in {file}")
    if keys:
        say(f"it is encrypted for {len(keys)} key{'s' * (len(keys) > 1)}: without the secret key nobody can read it")
    else:
        say("it has all secrets: protect it as you protect them")
    if elsewhere:
        say("the bucket is elsewhere, and not in this file: back it up there")


@contextmanager
def _stopped(stack: Stack, say: Say) -> Iterator[None]:
    """Stop a stack that is up, and start it again as it was started: by systemd, or with the variables that it had.

    This process has others: those of its caller, and of the bucket that it looked into. A signal that ends it, such as that of a
    terminal which is closed, starts the stack again, too.
    """
    if not stack.is_up():
        yield
        return
    scope = service.serving(stack.home)
    settings = service.steering(supervision.started_with(stack.home)) | bucket.chosen(stack.home)

    def tell(sentence: str) -> None:
        with suppress(OSError):  # nobody reads it any more
            say(sentence)

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    asked = [number for number in (signal.SIGTERM, signal.SIGHUP) if signal.getsignal(number) == signal.SIG_DFL]
    for number in asked:
        signal.signal(number, end)
    try:
        tell("stopping the stack, so that nothing changes meanwhile; a running task is tried again afterwards")
        stack.down()
        yield
    finally:
        for name in service.steering(os.environ):
            del os.environ[name]
        os.environ.update(settings)
        if fault := service.begin(stack.home, scope) if scope else "":
            tell(f"systemd does not start it again, so that it runs without systemd until the next boot: {fault}")
        if fault or not scope:
            stack.up(tell)
        for number in asked:
            signal.signal(number, signal.SIG_DFL)


def restore(home: Home, file: Path, say: Say, *, identity: Path | None = None) -> None:
    """Restore a state folder from a backup. It appears when all of it is there; until then there is nothing.

    ``identity`` is the file with the secret key, where the backup is encrypted.

    Raises
    ------
    StackError
        If there is a stack already, the file is no whole backup, or no key opens it.
    """
    if home.exists or (home.path.exists() and any(home.path.iterdir())):
        raise StackError(f"{home} is not empty; move it away first: a backup never overwrites anything")
    partial = Home(home.path.with_name(f"{home.path.name}.restoring"))
    processes.end(processes.of_stack(partial), grace_s=5)
    shutil.rmtree(partial.path, ignore_errors=True)
    partial.create()
    say("reading the backup")
    try:
        n_files = read_archive(file, partial.path, identity=identity)
    except StackError:
        shutil.rmtree(partial.path, ignore_errors=True)  # what was read so far would lie there in the clear
        raise
    say("restoring Airflow's database")
    postgres.ensure_initialized(partial)
    with _database(partial):
        dump = partial.path / DUMP
        _run_client("pg_restore", partial, "--no-owner", "--exit-on-error", f"--dbname={postgres.DATABASE}", str(dump))
    dump.unlink()
    os.sync()  # else the power may fail when the folder has its name, and its files not yet their content
    if home.path.exists():
        home.path.rmdir()
    partial.path.rename(home.path)
    say(f"{n_files:,} files restored into {home}; start it with: ./ecg up")


def write_archive(home: Home, dump: Path, target: IO[bytes]) -> int:
    """Write everything that a restored stack needs; returns how many files."""
    about = {
        "format": FORMAT,
        "made": datetime.now(UTC).isoformat(timespec="seconds"),
        "airflow": version("apache-airflow"),
        "postgres": (home.postgres / "PG_VERSION").read_text().strip(),
    }
    sums: list[str] = []
    with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        _add_text(archive, ABOUT, json.dumps(about, indent=1), sums)
        _add_file(archive, SECRETS, home.path / SECRETS, sums)
        _add_file(archive, DUMP, dump, sums)
        for folder in FOLDERS:
            for path in _files(home.path / folder):
                _add_file(archive, path.relative_to(home.path).as_posix(), path, sums)
        n_files = len(sums)
        _add_text(archive, SUMS, "\n".join(sums) + "\n", [])
    return n_files


def read_archive(file: Path, folder: Path, *, identity: Path | None = None) -> int:
    """Unpack a backup into an empty folder and check every byte of it; returns how many files.

    Raises
    ------
    StackError
        If it is no backup, of a later format, cut short, changed, names a file that no backup holds, or is encrypted for another key.
    """
    found: dict[str, str] = {}
    checksums = ""
    try:
        with sealing.opened(file, identity) as source, tarfile.open(fileobj=source, mode="r|") as archive:
            for member in archive:
                content = archive.extractfile(member) if member.isreg() else None
                if content is None or not _may_hold(member.name):
                    raise StackError(f"{file} holds {member.name!r}, which no backup does")
                if member.name == SUMS:
                    checksums = content.read().decode()
                    continue
                found[member.name] = _unpack(member, content, folder / member.name)
                if member.name == ABOUT and (made := json.loads((folder / ABOUT).read_text()))["format"] != FORMAT:
                    raise StackError(f"{file} is of format {made['format']}; this version reads {FORMAT}")
    except (tarfile.TarError, EOFError, ValueError, KeyError) as error:
        raise StackError(f"{file} is no whole backup: {error}") from error
    except OSError as error:
        raise StackError(f"{file} cannot be unpacked into {folder}: {error}") from error
    expected = {name: digest for digest, _, name in (line.partition("  ") for line in checksums.splitlines())}
    if not {ABOUT, SECRETS, DUMP} <= found.keys() or found != expected:
        wrong = sorted(name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name))
        raise StackError(f"{file} is no whole backup: " + (f"{wrong[0]} is not what was written" if checksums else "its end is missing"))
    (folder / ABOUT).unlink()
    return len(found)


def _files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, without the store's unfinished ones."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if name != "tmp")
        yield from (path for name in sorted(names) if (path := Path(parent) / name).is_file() and not path.is_symlink())


def _may_hold(name: str) -> bool:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        return False
    return name in {ABOUT, SECRETS, DUMP, SUMS} or any(path.is_relative_to(folder) for folder in FOLDERS)


def _add_file(archive: tarfile.TarFile, name: str, path: Path, sums: list[str]) -> None:
    entry = tarfile.TarInfo(name)
    status = path.stat()
    entry.size, entry.mtime, entry.mode = status.st_size, status.st_mtime, 0o600
    if hasattr(os, "listxattr"):
        attributes = (attribute for attribute in os.listxattr(path) if attribute.startswith("user."))
        entry.pax_headers = {_XATTR + one: os.getxattr(path, one).decode("utf-8", "surrogateescape") for one in attributes}
    with path.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
        content.seek(0)
        archive.addfile(entry, content)
    sums.append(f"{digest}  {name}")


def _add_text(archive: tarfile.TarFile, name: str, text: str, sums: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_text(text)
        _add_file(archive, name, path, sums)


def _unpack(member: tarfile.TarInfo, content: IO[bytes], path: Path) -> str:
    """Write one file with its attributes and time; returns the SHA-256 of what was written."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            target.write(chunk)
    for name, value in member.pax_headers.items():
        if name.startswith(f"{_XATTR}user."):
            os.setxattr(path, name.removeprefix(_XATTR), value.encode("utf-8", "surrogateescape"))
    os.utime(path, (member.mtime, member.mtime))
    return digest.hexdigest()


@contextmanager
def _database(home: Home) -> Iterator[None]:
    """Run PostgreSQL alone, as the supervisor would start it, while the stack is down."""
    home.refresh_ports()
    command = [sys.executable, "-m", "deploy.embedded.start", str(home), "postgres"]
    environment = airflow.clean_environment(os.environ) | processes.marks(home, "postgres") | {"PYTHONPATH": str(CHECKOUT)}
    with home.log("postgres").open("ab") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=CHECKOUT)  # noqa: S603 - our own program, and no shell
    try:
        postgres.ensure_database(home, timeout_s=60)
        yield
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def _run_client(program: str, home: Home, *arguments: str) -> None:
    """Run one of PostgreSQL's client programs; the password is in its environment, where no other user sees it."""
    where = [f"--host={LOOPBACK}", f"--port={home.ports().postgres}", f"--username={postgres.SUPERUSER}", "--no-password"]
    database = [] if program == "pg_restore" else [f"--dbname={postgres.DATABASE}"]
    done = subprocess.run(  # noqa: S603 - a program of the wheel, and no shell
        [postgres.program(program), *where, *database, *arguments],
        env=os.environ | {"PGPASSWORD": home.secrets().database_password},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StackError(f"{program} failed: {done.stderr.strip()}")
