"""A recording under other file names says the same, and nothing of the names before."""

from dataclasses import replace

import pytest

from benchmarks import written_files
from ecg_tasks import readers
from ecg_tasks.errors import BadInputError
from ecg_tasks.readers.wfdb.renaming import renamed
from tests.readers.wfdb.test_record import segment_files


def named(written: str) -> dict[str, bytes]:
    """A recording in files called Erika, whose header calls it otherwise."""
    made = written_files.wfdb(written_files.made())
    lines = [line.removeprefix(b"r") for line in made["r.hea"].splitlines()]
    header = b"\n".join([written.encode() + lines[0], *(b"ERIKA" + line for line in lines[1:]), b"# age: 57", b""])
    return {"Erika.hea": header, "Erika.dat": made["r.dat"]}


def new_names(files):
    """Names that say nothing, by the old ones."""
    return {name: f"{number:03x}.{name.rpartition('.')[2]}" for number, name in enumerate(files)}


def ids_and_signals(name, files):
    """All that is read, but for names."""
    return [(one.record_id, replace(one, name="").leads, one.samples.tobytes()) for one in readers.read(name, files).records]


@pytest.mark.parametrize("written", ["Erika", "wards/Erika", "Erika.mat", "Erika M"])
def test_a_header_names_its_files_by_their_new_names(written):
    """The record's own name and those of its signal files are others; comments and numbers are the same."""
    files = named(written)
    called = new_names(files)
    found = renamed(files, called)
    assert list(found) == list(called.values())
    assert ids_and_signals("x/000.hea", found) == ids_and_signals("x/Erika.hea", files)
    assert b"erika" not in found["000.hea"].lower()
    assert found["000.hea"].splitlines()[-1] == b"# age: 57"


def test_segments_are_named_by_their_new_names():
    """A header of segments, its gap, and the headers of the segments with their files."""
    files, _ = segment_files()
    called = new_names(files)
    found = renamed(files, called)
    assert ids_and_signals("000.hea", found) == ids_and_signals("r.hea", files)
    assert found["000.hea"].splitlines()[0] == b"000/4 3 100 2500"
    assert b"s1" not in b"".join(data for name, data in found.items() if name.endswith(".hea"))


def test_a_header_that_names_another_file_is_refused():
    """What is not among the files cannot be renamed."""
    files = named("Erika")
    with pytest.raises(BadInputError, match=r"ERIKA\.dat is missing"):
        renamed({"Erika.hea": files["Erika.hea"]}, {"Erika.hea": "000.hea"})
