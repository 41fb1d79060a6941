"""Files without identifiers: nothing of what names a person is left in them, and the same reader reads the same records."""

import gzip

import pytest

from benchmarks import written_files as written
from ecg_tasks import readers
from ecg_tasks.errors import BadInputError, Reason

ONE = written.made(n_samples=3000)
FORMATS = {name: write for name, write in written.WRITERS.items() if name not in {"wfdb", "dicom"}} | {
    "npz": written.npz,
    "code15": lambda one: written.code15([one], exams=[7]),
    "bdf": lambda one: written.edf(one, bdf=True),
    "edf+": lambda one: written.edf(one, plus=True),
    "gzip": lambda one: {"r.csv.gz": gzip.compress(written.lead_csv(one)["r.csv"])},
}


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_keeps_its_records(name):
    """Blanked, a file is read to the same records; blanked again, it is the same file."""
    files = FORMATS[name](ONE)
    name = f"ward/{next(iter(files))}"
    blanked = readers.deidentified(name, files)
    assert list(blanked) == list(files)
    before, after = (readers.read(name, these).records for these in (files, blanked))
    assert [(one.name, one.record_id, one.sex, one.age) for one in after] == [(one.name, one.record_id, one.sex, one.age) for one in before]
    assert readers.deidentified(name, blanked) == blanked


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        (lambda files: {"other.npy": files["r.npy"]}, "other files"),
        (lambda files: files | {"r.npy": files["r.npy"][:-8]}, "could not be read"),
        (lambda files: files | {"r.npy": files["r.npy"][:-8] + bytes(8)}, "other records"),
        (lambda files: files["r.hea"], "KeyError"),
    ],
)
def test_a_copy_that_is_not_proven_is_refused(monkeypatch, fault, why):
    """With other files, one that cannot be read, another sample, or a reader that fails: nothing is given out."""
    files = written.npy(ONE)
    monkeypatch.setattr("ecg_tasks.readers.numpy_arrays.NumpyReader.deidentified", lambda _, files, name: fault(files))  # noqa: ARG005
    with pytest.raises(BadInputError, match=why) as caught:
        readers.deidentified("r.npy", files)
    assert caught.value.reason is Reason.UNREADABLE


def test_what_cannot_be_read_is_refused_as_when_it_is_read():
    """With the reader's own reason."""
    with pytest.raises(BadInputError) as caught:
        readers.deidentified("photo.jpg", {"photo.jpg": b"\xff\xd8\xff"})
    assert caught.value.reason is Reason.UNKNOWN_FORMAT
