"""A backup is read back byte for byte, with the store's attributes, and whatever is not whole is refused before anything appears."""

import io
import os
import stat
import tarfile

import pytest

from deploy.embedded import Stack, backup
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home

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
