"""Which files a person may name to have one recording read from a disk."""

import pytest

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.steps.offline import single


@pytest.mark.parametrize(
    ("named", "header", "signal"),
    [
        pytest.param("r.dat", "r.hea", "r.dat", id="the signal file"),
        pytest.param("r.mat", "r.hea", "r.mat", id="a signal file called mat"),
        pytest.param("R.DAT", "R.HEA", "R.DAT", id="all in upper case"),
        pytest.param("r.hea", "r.hea", "R.DAT", id="the header, its signals in upper case"),
    ],
)
def test_a_signal_file_means_its_recording(tmp_path, make_wfdb, named, header, signal):
    """Whoever names the signal file gets what the header beside it says, whatever the names' case."""
    files = make_wfdb("r", seed=1)
    folder = tmp_path / "there"
    folder.mkdir()
    (folder / header).write_bytes(files["r.hea"].replace(b"r.dat", signal.lower().encode()))
    (folder / signal).write_bytes(files["r.dat"])
    records, _ = single._read(folder / named)
    assert [(record.name, record.n_samples) for record in records] == [(header[:1], 2500)]


def test_a_signal_file_alone_is_told_so(tmp_path):
    """Without its header a signal file says nothing, and the message names the file that is missing."""
    (tmp_path / "r.mat").write_bytes(bytes(100))
    with pytest.raises(BadInputError, match=r"r\.mat is read through its header r\.hea, which is not beside it") as caught:
        single._read(tmp_path / "r.mat")
    assert caught.value.reason is Reason.INCOMPLETE
