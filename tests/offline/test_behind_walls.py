"""Files on a disk are read in a process of their own, and what they do there is a refusal of one file."""

import gzip
import io
import zipfile

import pytest

from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, ConfigurationError, Reason
from ecg_tasks.offline import behind_walls
from ecg_tasks.offline.archive_file import read_archive
from ecg_tasks.offline.classify_file import read_path
from ecg_tasks.offline.files_on_disk import read_all
from ecg_tasks.parsing import asking
from ecg_tasks.sandbox import Walls


@pytest.fixture
def here(monkeypatch):
    """Let this process read nothing."""

    def refuse(*_arguments):
        raise AssertionError("read in this process")

    monkeypatch.setattr(readers, "read", refuse)


@pytest.fixture
def recording(make_wfdb):
    """Files of a recording."""
    return make_wfdb("one", seed=1)


@pytest.mark.usefixtures("here")
def test_files_folders_and_archives_are_read_elsewhere(tmp_path, recording):
    """By none of the ways that `classify` and `evaluate` take does this process read a file's content; all find the same record."""
    folder = tmp_path / "folder"
    folder.mkdir()
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, data in recording.items():
            (folder / name).write_bytes(data)
            archive.writestr(name, data)
    (tmp_path / "some.zip").write_bytes(packed.getvalue())
    alone = read_path(folder / "one.hea")
    inside = list(read_all([folder], counted=lambda _n: None))
    packed_too = list(read_archive(tmp_path / "some.zip"))
    assert len({record.record_id for read in (alone, *inside, *packed_too) for record in read.records}) == 1
    assert [len(inside), len(packed_too)] == [1, 1]


@pytest.mark.usefixtures("here")
def test_what_takes_all_memory_is_refused_and_the_next_one_is_read(monkeypatch, recording):
    """The bounds are those of a task: the process ends, this one goes on, and has another."""
    hungry = gzip.compress(b"1,2\n" * 1_000_000)
    monkeypatch.setattr(asking, "MEMORY_BYTES", 50_000_000)
    monkeypatch.setattr(asking, "MEMORY_PER_BYTE", 1)
    with pytest.raises(BadInputError) as refused:
        behind_walls.read("hungry.csv.gz", {"hungry.csv.gz": hungry})
    assert refused.value.reason is Reason.TOO_LARGE
    monkeypatch.undo()
    assert behind_walls.read("one.hea", recording).records[0].name == "one"


def test_walls_can_be_required(monkeypatch, recording):
    """As for a task, by the same setting."""
    monkeypatch.setenv("ECG_SANDBOX", "required")
    behind_walls._parser.cache_clear()
    asking._tell.cache_clear()
    monkeypatch.setattr(Walls, "missing", "Landlock")
    with pytest.raises(ConfigurationError, match="ECG_SANDBOX is required"):
        behind_walls.read("one.hea", recording)
    behind_walls._parser.cache_clear()
    asking._tell.cache_clear()


def test_to_begin_waits_for_nothing(monkeypatch):
    """The process is started while the command imports the rest; where others read for this one, none is."""
    started = []
    monkeypatch.setattr(asking, "_own", lambda pid: started.append(pid) or "")
    behind_walls.begin()
    monkeypatch.setenv(asking.ADDRESS, "somewhere")
    behind_walls.begin()
    assert len(started) == 1
