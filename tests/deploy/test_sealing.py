"""Encrypted backups: read by the holder of a key alone, refused whole where a byte is missing, and by a program that is not ours."""

import os
import stat
from contextlib import contextmanager

import pyrage
import pytest

from deploy.embedded import backup, sealing
from deploy.embedded.errors import StackError
from deploy.embedded.home import Home

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
def key(tmp_path):
    """File of a secret key, and its public one."""
    file = tmp_path / "key"
    return file, sealing.make_key(file)


def seal(file, public, content=CONTENT):
    """Write an encrypted file; the piece of two keys is that each reads it."""
    keys = sealing.recipients({"ECG_BACKUP_RECIPIENTS": public})
    with file.open("wb") as target, sealing.sealed(target, keys) as clear:
        clear.write(content)


def content_of(file, identity):
    """All that is in it."""
    with sealing.opened(file, identity) as clear:
        return clear.read()


def test_each_key_reads_it_and_so_does_age_itself(tmp_path, key):
    """Encrypted for two people, each reads it by himself; the format is age's own, and nothing of the content shows."""
    first, public = key
    second = tmp_path / "second"
    other = sealing.make_key(second)
    seal(tmp_path / "file", f"{public}  {other}")
    assert content_of(tmp_path / "file", first) == content_of(tmp_path / "file", second) == CONTENT
    data = (tmp_path / "file").read_bytes()
    assert data.startswith(b"age-encryption.org/v1\n")
    assert CONTENT[:64] not in data
    secret = next(line for line in first.read_text().splitlines() if not line.startswith("#"))
    assert pyrage.decrypt(data, [pyrage.x25519.Identity.from_str(secret)]) == CONTENT
    assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_what_is_not_encrypted_is_read_as_it_is(tmp_path):
    """A backup of before has no key."""
    (tmp_path / "file").write_bytes(CONTENT)
    assert content_of(tmp_path / "file", None) == CONTENT


def test_a_wrong_and_a_lost_key_are_told(tmp_path, key):
    """Each with a sentence that says what follows, before anything is read."""
    _, public = key
    sealing.make_key(tmp_path / "another")
    seal(tmp_path / "file", public)
    with pytest.raises(StackError, match="encrypted for another one, and where that is lost, nobody can read it"):
        content_of(tmp_path / "file", tmp_path / "another")
    with pytest.raises(StackError, match="--identity; without that key nobody can read it"):
        content_of(tmp_path / "file", None)
    (tmp_path / "none").write_text("# a key was here\n")
    with pytest.raises(StackError, match="holds no secret key of age"):
        content_of(tmp_path / "file", tmp_path / "none")


def test_a_key_is_never_written_over(key):
    """What was encrypted for it could not be read any more."""
    file, _ = key
    before = file.read_text()
    with pytest.raises(StackError, match="is there already, and stays"):
        sealing.make_key(file)
    assert file.read_text() == before


def test_a_secret_key_in_the_setting_is_not_repeated(key):
    """Who mistakes one key for the other does not find it in a log."""
    file, public = key
    secret = next(line for line in file.read_text().splitlines() if not line.startswith("#"))
    with pytest.raises(StackError, match="key 2 of ECG_BACKUP_RECIPIENTS is no public key") as told:
        sealing.recipients({"ECG_BACKUP_RECIPIENTS": f"{public} {secret}"})
    assert secret not in str(told.value)


@pytest.mark.parametrize("left", [40, 150, 70_000, -40, -1])
def test_every_cut_is_noticed(tmp_path, key, left):
    """In the header, in the middle and at the end."""
    file, public = key
    seal(tmp_path / "file", public)
    (tmp_path / "file").write_bytes((tmp_path / "file").read_bytes()[:left])
    with pytest.raises(StackError, match="no whole backup"):
        content_of(tmp_path / "file", file)


def test_a_changed_byte_is_noticed(tmp_path, key):
    """Wherever it stands, the content is no more than what was written."""
    file, public = key
    seal(tmp_path / "file", public)
    data = bytearray((tmp_path / "file").read_bytes())
    data[-10_000] ^= 1
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(StackError, match="no whole backup"):
        content_of(tmp_path / "file", file)


def test_a_full_disk_is_told(key):
    """With its reason; the program does not hang."""
    _, public = key

    class Full:
        def write(self, _data):
            raise OSError(28, "No space left on device")

        def flush(self):
            pass

    with (
        pytest.raises(StackError, match="No space left"),
        sealing.sealed(Full(), sealing.recipients({"ECG_BACKUP_RECIPIENTS": public})) as clear,
    ):
        clear.write(CONTENT * 4)


def test_a_fault_inside_ends_the_helper(tmp_path, key):
    """What reads stops in the middle: its own error comes out, and no thread is left."""
    file, public = key
    seal(tmp_path / "file", public, CONTENT * 4)
    with pytest.raises(OSError, match="write"), sealing.opened(tmp_path / "file", file) as clear:
        clear.write(b"x")


def test_a_backup_goes_round_encrypted(tmp_path, key, monkeypatch):
    """Every file, attribute and secret comes back with the key; without it the folder does not appear, nor a part of it."""
    file, public = key
    home = Home(tmp_path / "home")
    home.create()
    home.secrets()
    (home.store / "devices/disk").mkdir(parents=True)
    (home.store / "devices/disk/a.data").write_bytes(CONTENT)
    home.postgres.mkdir()
    (home.postgres / "PG_VERSION").write_text("18\n")
    (tmp_path / "dump").write_bytes(b"a dump")
    keys = sealing.recipients({"ECG_BACKUP_RECIPIENTS": public})
    with (tmp_path / "backup").open("wb") as target, sealing.sealed(target, keys) as clear:
        n_files = backup.write_archive(home, tmp_path / "dump", clear)
    assert home.secrets().patient_key.encode() not in (tmp_path / "backup").read_bytes()
    assert backup.read_archive(tmp_path / "backup", tmp_path / "again", identity=file) == n_files
    assert (tmp_path / "again/store/devices/disk/a.data").read_bytes() == CONTENT
    assert (tmp_path / "again/secrets.json").read_bytes() == (home.path / "secrets.json").read_bytes()
    sealing.make_key(tmp_path / "another")
    for identity in (tmp_path / "another", None):
        with pytest.raises(StackError, match="nobody can read it"):
            backup.restore(Home(tmp_path / "new"), tmp_path / "backup", lambda _: None, identity=identity)
        assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("new")]
    (tmp_path / "backup").write_bytes((tmp_path / "backup").read_bytes()[:-20_000])
    with pytest.raises(StackError, match="no whole backup"):
        backup.restore(Home(tmp_path / "new"), tmp_path / "backup", lambda _: None, identity=file)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith("new")]


def test_a_backup_is_written_for_the_keys_of_the_setting(tmp_path, key, monkeypatch):
    """``back_up`` itself encrypts, says so, and refuses a wrong key before it stops anything."""
    file, public = key
    said = []

    class Quiet:
        """A stack that is down, with a database that dumps itself."""

        home = Home(tmp_path / "home")

        def is_up(self):
            return False

        @contextmanager
        def alone(self, _say):
            yield

    Quiet.home.create()
    Quiet.home.secrets()
    Quiet.home.postgres.mkdir()
    (Quiet.home.postgres / "PG_VERSION").write_text("18\n")
    monkeypatch.setattr(backup, "_database", lambda _home: os.scandir(tmp_path))
    monkeypatch.setattr(backup, "_run_client", lambda *words: (tmp_path / words[-1].removeprefix("--file=")).write_bytes(b"a dump"))
    monkeypatch.setattr(backup.bucket, "is_embedded", lambda _home: False)
    monkeypatch.setenv("ECG_BACKUP_RECIPIENTS", "age1none")
    with pytest.raises(StackError, match="ECG_BACKUP_RECIPIENTS"):
        backup.back_up(Quiet(), tmp_path / "backup", said.append)
    assert not (tmp_path / "backup").exists()
    monkeypatch.setenv("ECG_BACKUP_RECIPIENTS", public)
    backup.back_up(Quiet(), tmp_path / "backup", said.append)
    assert sealing.is_sealed(tmp_path / "backup")
    assert any("encrypted for 1 key:" in sentence for sentence in said)
    assert backup.read_archive(tmp_path / "backup", tmp_path / "again", identity=file) == 3
