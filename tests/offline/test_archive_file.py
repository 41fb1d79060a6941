"""An archive on a disk: classified and evaluated as what is in it."""

import gzip
import io
import tarfile
import zipfile

import pytest

from ecg_tasks.errors import BadInputError, NotEnoughDataError
from ecg_tasks.offline.archive_file import is_archive, read_archive, unpacked
from ecg_tasks.offline.classify_archive import classify
from ecg_tasks.offline.evaluate_folder import evaluate_folder
from ecg_tasks.signals.sample_drop import sample_drop


@pytest.fixture(scope="module")
def files():
    """Two recordings, one of them cut off, and a file that is none."""
    made = sample_drop(seed=3, n_patients=2, recordings_per_patient=1)
    recordings = sorted(name for name in made if name.endswith(".hea"))[:2]
    found = {name: data for name, data in made.items() if name.rpartition(".")[0] in {one[:-4] for one in recordings}}
    return found | {"photo.jpg": b"\xff\xd8\xff", "../evil.csv": b"1"}


def packed_as(path, files):
    """An archive of these files at ``path``."""
    out = io.BytesIO()
    if path.suffix == ".zip":
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
    else:
        with tarfile.open(fileobj=out, mode="w") as archive:
            for name, data in files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))
    path.write_bytes(gzip.compress(out.getvalue()) if path.suffix == ".gz" else out.getvalue())
    return path


@pytest.mark.parametrize("called", ["w.zip", "w.tar", "w.tar.gz"])
def test_it_reads_as_the_inbox_does(called, files, tmp_path):
    """Records by their names inside it; what cannot be read is told beside them."""
    path = packed_as(tmp_path / called, files)
    assert is_archive(path)
    readings = list(read_archive(path))
    names = {record.name for reading in readings for record in reading.records}
    assert names == {f"w/{name[:-4]}" for name in files if name.endswith(".hea")}
    assert {one.name: one.reason.value for reading in readings for one in reading.rejected} == {
        "w/photo.jpg": "unknown_format",
        "w/../evil.csv": "unsafe_path",
    }
    with unpacked(path) as folder:
        there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
        assert there == files.keys() - {"../evil.csv"}
        assert not (folder.parent / "evil.csv").exists()
    assert not folder.exists()


def test_its_recordings_are_classified_as_loose_ones(files, tmp_path):
    """The same decisions and numbers."""
    found = classify(packed_as(tmp_path / "w.zip", files), recipe="heartbeat")
    (header,) = [name for name in files if name.endswith(".hea")][:1]
    for name, data in files.items():
        if not name.startswith(".."):
            target = tmp_path / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
    (loose,) = classify(tmp_path / header, recipe="heartbeat").results
    same = next(one for one in found.results if one.record_id == loose.record_id)
    assert (same.decision, same.probability, same.name) == (loose.decision, loose.probability, f"w/{header[:-4]}")
    assert (len(found.results), len(found.rejected)) == (2, 2)


def test_what_is_called_an_archive_and_is_none(tmp_path):
    """It is a file like any other."""
    path = tmp_path / "w.zip"
    path.write_bytes(b"<!doctype html>")
    assert not is_archive(path)
    with pytest.raises(BadInputError, match="a web page"):
        classify(path)
    with pytest.raises(BadInputError, match="is not a ZIP"), unpacked(path):
        pass


def test_a_packed_folder_is_evaluated_as_the_folder(files, tmp_path):
    """Here none of its recordings has a label, and both say so with the same counts."""
    names = [name for name in files if name.endswith(".hea")]
    folder = tmp_path / "w"
    whole = {name: data for name, data in files.items() if not name.startswith("..")}
    whole = {f"w/{name}": data for name, data in whole.items()} | {
        "w/labels.csv": "\n".join(["record,label", *(f"{one}," for one in names)]).encode()
    }
    for name, data in whole.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    counts = []
    for where in (folder, packed_as(tmp_path / "x.tar.gz", whole)):
        with pytest.raises(NotEnoughDataError, match="1 unlabelled") as raised:
            evaluate_folder(where)
        counts.append(str(raised.value).partition(" to evaluate: ")[2])
    assert counts[0] == counts[1] != ""
