"""A backup is read back byte for byte, with the store's attributes, and whatever is not whole is refused before anything appears."""

import io
import os
import signal
import stat
import subprocess
import tarfile

import pytest

from deploy.embedded import Stack, backup, bucket, service, supervision
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home
from ecg_tasks.cli import backup as command
from ecg_tasks.cli import forgetting

OBJECT = "store/devices/disk/objects/1/abc/1700000000.00000.data"
METADATA = bytes(range(256)) * 4 + b"\n12 a=b\n"


@pytest.fixture
def home(tmp_path):
    """A state folder with an object, a log and secrets; nothing of it runs."""
    home = Home(tmp_path / "home")
    home.create()
    home.secrets()
    (home.path / OBJECT).parent.mkdir(parents=True)
    (home.path / OBJECT).write_bytes(b"samples" * 1000)
    try:
        os.setxattr(home.path / OBJECT, "user.swift.metadata", METADATA)
    except OSError:
        pytest.skip(f"the file system of {tmp_path} keeps no extended attributes")
    os.utime(home.path / OBJECT, (1_700_000_000, 1_700_000_000))
    unfinished = home.path / "store/devices/disk/tmp/half"
    unfinished.parent.mkdir()
    unfinished.write_bytes(b"half")
    log = home.path / "logs/tasks/dag_id=a/run_id=größe/attempt=1.log"
    log.parent.mkdir(parents=True)
    log.write_bytes(b"a log\n")
    home.postgres.mkdir()
    (home.postgres / "PG_VERSION").write_text("18\n")
    (home.path / "ports.json").write_text("{}")
    return home


@pytest.fixture
def archive(home, tmp_path):
    """Its backup."""
    dump = tmp_path / "dump"
    dump.write_bytes(b"a dump")
    file = tmp_path / "backup.tar"
    with file.open("wb") as target:
        backup.write_archive(home, dump, target)
    return file


def members(file):
    """Names and contents of an archive."""
    with tarfile.open(file) as archive:
        return {member.name: archive.extractfile(member).read() for member in archive}


def rewritten(file, change):
    """Write an archive anew with each member changed, left out (None) or as it was."""
    written = io.BytesIO()
    with tarfile.open(file) as old, tarfile.open(fileobj=written, mode="w") as new:
        for member in old:
            content = change(member, old.extractfile(member).read())
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    file.write_bytes(written.getvalue())


def test_round_trip(home, archive, tmp_path):
    """Content, attributes and times come back; what is made anew at every start is not in it."""
    assert backup.read_archive(archive, tmp_path / "again") == 5
    again = tmp_path / "again"
    found = {str(path.relative_to(again)): path.read_bytes() for path in again.rglob("*") if path.is_file()}
    log = "logs/tasks/dag_id=a/run_id=größe/attempt=1.log"
    assert found.keys() == {OBJECT, log, "secrets.json", "airflow.dump"}
    for name in (OBJECT, log, "secrets.json"):
        assert found[name] == (home.path / name).read_bytes()
        assert stat.S_IMODE((again / name).stat().st_mode) == 0o600
    assert os.getxattr(again / OBJECT, "user.swift.metadata") == METADATA
    assert (again / OBJECT).stat().st_mtime == 1_700_000_000


def test_every_cut_is_noticed(archive, tmp_path):
    """An archive that ends early is refused, wherever it ends."""
    whole = archive.read_bytes()
    for number, end in enumerate(range(0, len(whole) - 10_240, 2048)):
        archive.write_bytes(whole[:end])
        with pytest.raises(StackError, match="no whole backup"):
            backup.read_archive(archive, tmp_path / f"cut-{number}")


@pytest.mark.parametrize("name", [OBJECT, backup.SECRETS, backup.DUMP])
@pytest.mark.parametrize("content", [b"other", None])
def test_every_change_is_noticed(archive, tmp_path, name, content):
    """Another content, or none, of any file is refused, and named where it can be."""
    rewritten(archive, lambda member, old: content if member.name == name else old)
    with pytest.raises(StackError, match=f"{name} is not what was written"):
        backup.read_archive(archive, tmp_path / "again")


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "store/devices/../../outside", "supervisor.conf", "store/swift.conf"])
def test_no_other_file_is_written(archive, tmp_path, name):
    """A backup that names a file outside what backups hold is refused, and nothing is written there."""

    def renamed(member, old):
        member.name = name if member.name == OBJECT else member.name
        member.pax_headers = {}
        return old

    rewritten(archive, renamed)
    with pytest.raises(StackError, match="which no backup does"):
        backup.read_archive(archive, tmp_path / "again")
    assert not list(tmp_path.rglob("outside"))


def test_a_link_is_refused(archive, tmp_path):
    """A backup holds regular files only."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as new:
        entry = tarfile.TarInfo("store/devices/link")
        entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
        new.addfile(entry)
    archive.write_bytes(written.getvalue())
    with pytest.raises(StackError, match="which no backup does"):
        backup.read_archive(archive, tmp_path / "again")


def test_a_later_format_is_refused(archive, tmp_path):
    """A backup of a later version says so."""
    rewritten(archive, lambda member, old: b'{"format": 2}' if member.name == backup.ABOUT else old)
    with pytest.raises(StackError, match="format 2"):
        backup.read_archive(archive, tmp_path / "again")


def test_what_is_there_is_never_overwritten(home, archive):
    """A state folder that holds anything is left alone."""
    before = sorted(home.path.rglob("*"))
    with pytest.raises(StackError, match="not empty"):
        backup.restore(home, archive, lambda _: None)
    assert sorted(home.path.rglob("*")) == before


def test_nothing_is_no_backup(tmp_path):
    """Where no stack was ever set up there is nothing to back up, and no file is written."""
    with pytest.raises(StackError, match="nothing to back up"):
        backup.back_up(Stack(tmp_path / "none"), tmp_path / "backup.tar", lambda _: None)
    assert not (tmp_path / "backup.tar").exists()


def test_a_restored_folder_appears_when_it_is_on_the_disk(home, archive, tmp_path, monkeypatch):
    """A power cut right after leaves no folder with empty files, which looked whole."""
    again, seen = Home(tmp_path / "again"), []
    monkeypatch.setattr(backup.postgres, "ensure_initialized", lambda _home: None)
    monkeypatch.setattr(backup, "_database", lambda _home: os.scandir(tmp_path))
    monkeypatch.setattr(backup, "_run_client", lambda *_words: None)
    monkeypatch.setattr(os, "sync", lambda: seen.append(again.path.exists()))
    backup.restore(again, archive, lambda _: None)
    assert seen == [False]
    assert (again.path / OBJECT).read_bytes() == (home.path / OBJECT).read_bytes()
    assert not (again.path / backup.DUMP).exists()


@pytest.fixture
def running(home, monkeypatch):
    """A stack that is up with settings of its own, in a home whose database dumps itself; notes each stop and start, and its variables."""
    monkeypatch.setattr(backup, "_database", lambda _home: os.scandir(home.path))
    monkeypatch.setattr(backup, "_run_client", lambda *words: (home.path / words[-1].removeprefix("--file=")).write_bytes(b"a dump"))
    monkeypatch.setattr(backup.store_packages, "ensure_installed", lambda: None)
    monkeypatch.setattr(backup.object_store, "forget_deleted", lambda _home: None)
    noted = []
    environment = {"ECG_TLS": "made", "ECG_STACK": str(home), "ECG_COMPONENT": "supervisor", "NOTIFY_SOCKET": "/run/systemd/notify"}
    with subprocess.Popen(["sleep", "600"], env=environment) as supervisor:
        monkeypatch.setattr(supervision, "pid", lambda _home: supervisor.pid)
        monkeypatch.setattr(service, "serving", lambda _home: None)
        monkeypatch.setattr(Stack, "down", lambda _self: noted.append("down"))
        monkeypatch.setattr(Stack, "up", lambda _self, _say: noted.append({name: os.environ.get(name) for name in SETTINGS}))
        monkeypatch.setenv("ECG_HOME", str(home))
        monkeypatch.setenv("ECG_SITES", "of another terminal")
        yield noted
        supervisor.kill()


SETTINGS = ("ECG_TLS", "ECG_SITES", "ECG_BUCKET", "ECG_COMPONENT", "NOTIFY_SOCKET", "ECG_HOME")
AS_BEFORE = dict.fromkeys(SETTINGS) | {"ECG_TLS": "made"}


def test_a_stack_is_started_again_as_it_was(home, running, tmp_path, monkeypatch):
    """With the variables that it had, not those of the command, which has looked into the bucket and is called by cron."""
    as_before = AS_BEFORE | {"ECG_HOME": str(home)}
    monkeypatch.setattr("ecg_tasks.actions.access.read_by_command", lambda _what: None)
    monkeypatch.setattr(forgetting, "renew_list", lambda _stack: None)
    command.backup(tmp_path / "backup.tar")
    assert running == ["down", as_before]
    assert bucket.elsewhere(os.environ) == {}
    assert backup.SUMS in members(tmp_path / "backup.tar")


def test_systemd_starts_again_what_it_had_started(home, running, tmp_path, monkeypatch):
    """It starts the stack, too, when supervisor and guardian die; where it may not be asked, the stack is started without it."""
    monkeypatch.setattr(service, "serving", lambda _home: "system")
    orders, said = [], []
    monkeypatch.setattr(service, "_systemctl", lambda *words: orders.append(words) or "not allowed" * (len(orders) - 1))
    for _ in range(2):
        backup.back_up(Stack(home.path), tmp_path / "backup.tar", said.append)
    assert orders == [("system", "--no-ask-password", "start", service.unit_name(home))] * 2
    assert running == ["down", "down", AS_BEFORE | {"ECG_HOME": str(home)}]
    assert [sentence for sentence in said if "not allowed" in sentence]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_backup_that_is_ended_leaves_no_stack_behind(home, running, tmp_path, monkeypatch, number):
    """A terminal that is closed while the stack is stopped; nobody reads any more what is said then."""
    closed = []
    before = signal.signal(number, signal.SIG_DFL)  # of another one, such as that of coverage, a backup knows nothing

    def say(_sentence):
        if closed:
            raise OSError("the terminal is gone")

    monkeypatch.setattr(backup, "_run_client", lambda *_words: closed.append(1) or os.kill(os.getpid(), number))
    try:
        with pytest.raises(SystemExit):
            backup.back_up(Stack(home.path), tmp_path / "backup.tar", say)
        assert signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, before)
    assert running == ["down", AS_BEFORE | {"ECG_HOME": str(home)}]
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_where_nothing_can_be_written_nothing_is_stopped(home, running, tmp_path, monkeypatch):
    """A folder that is not there is noticed first; a disk that is full meanwhile is a sentence, and the stack is up again."""
    with pytest.raises(StackError, match=r"cannot be written: No such file.*nothing was stopped"):
        backup.back_up(Stack(home.path), tmp_path / "none" / "backup.tar", lambda _: None)
    assert running == []
    monkeypatch.setattr(backup, "write_archive", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StackError, match="No space left"):
        backup.back_up(Stack(home.path), tmp_path / "backup.tar", lambda _: None)
    assert running[0] == "down"
    assert len(running) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_a_file_of_somebody_else_does_not_get_the_backup(home, running, tmp_path):
    """What waits under the name of the unfinished file is removed, not written into."""
    (tmp_path / "trap").touch(mode=0o666)
    (tmp_path / "backup.tar.part").symlink_to(tmp_path / "trap")
    backup.back_up(Stack(home.path), tmp_path / "backup.tar", lambda _: None)
    assert (tmp_path / "trap").read_bytes() == b""
    assert not (tmp_path / "backup.tar").is_symlink()
    assert stat.S_IMODE((tmp_path / "backup.tar").stat().st_mode) == 0o600
