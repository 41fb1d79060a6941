"""The download from PhysioNet, against a small one on the loopback: the same addresses, a list of sums, and parts of files on request."""

import hashlib
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread

import numpy as np
import pytest
from typer.testing import CliRunner

from ecg_tasks.cli.__main__ import app
from ecg_tasks.cli.inbox import DataSet, OnPhysioNet
from ecg_tasks.errors import BadInputError, StoreError
from ecg_tasks.offline import physionet
from ecg_tasks.signals.sample_files import wfdb_record


class PhysioNet:
    """What the server holds, by path behind the release, what it was asked for, and how it fails.

    ``asked`` is (path, bytes from) in order; ``cut`` ends the first answers for a path after so many bytes; ``busy`` answers 503 so often.
    """

    def __init__(self, release):
        self.root = f"/files/{release.slug}/{release.version}/"
        self.files = {}
        self.asked = []
        self.cut = {}
        self.busy = {}
        self.goes_on = True
        self.at_once = self.most_at_once = 0
        self.lock = Lock()

    def sums(self):
        """The list as PhysioNet writes it."""
        return "".join(f"{hashlib.sha256(data).hexdigest()} {path}\n" for path, data in self.files.items()).encode()

    def content(self, path):
        """The bytes at an address, or None."""
        name = path.removeprefix(self.root)
        return self.sums() if name == "SHA256SUMS.txt" and name not in self.files else self.files.get(name)

    def sent(self, path):
        """From which byte each request for a file began."""
        return [start for asked, start in self.asked if asked == path]


class Handler(BaseHTTPRequestHandler):
    """Answers as PhysioNet does."""

    protocol_version = "HTTP/1.1"
    site: PhysioNet

    def do_GET(self):
        """Send a file or the rest of it."""
        site = self.site
        with site.lock:
            site.at_once += 1
            site.most_at_once = max(site.most_at_once, site.at_once)
        try:
            self.answer(site)
        finally:
            with site.lock:
                site.at_once -= 1

    def answer(self, site):
        """Send one answer."""
        name = self.path.removeprefix(site.root)
        whole = site.content(self.path)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "")) if site.goes_on else None
        start = int(wanted[1]) if wanted else 0
        site.asked.append((name, start))
        if whole is None:
            self.send_error(404)
            return
        if site.busy.get(name, 0):
            site.busy[name] -= 1
            self.send_error(503)
            return
        if wanted and start >= len(whole):
            self.send_error(416)
            return
        self.send_response(206 if wanted else 200)
        if wanted:
            self.send_header("Content-Range", f"bytes {start}-{len(whole) - 1}/{len(whole)}")
        self.send_header("Content-Length", str(len(whole) - start))
        self.end_headers()
        most = site.cut.pop(name, None)
        self.wfile.write(whole[start:] if most is None else whole[start : start + most])
        if most is not None:
            self.close_connection = True

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def serve(monkeypatch):
    """Start a PhysioNet that has one release; returns it."""
    servers = []

    def start(name, files):
        site = PhysioNet(physionet.RELEASES[name])
        site.files = dict(files)
        server = ThreadingHTTPServer(("127.0.0.1", 0), type("OneHandler", (Handler,), {"site": site}))
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        monkeypatch.setattr(physionet, "ADDRESS", f"http://127.0.0.1:{server.server_port}/files/")
        return site

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def recording(stem):
    """A short WFDB recording in its folder."""
    folder, _, last = stem.rpartition("/")
    made = wfdb_record(np.random.default_rng(len(stem)).normal(size=(2, 5000)), fs=500, leads=("i", "ii"), stem=last)
    return {f"{folder}/{name}": data for name, data in made.items()}


PTBDB = {**recording("patient001/s0010_re"), **recording("patient002/s0015lre"), "RECORDS": b"", "CONTROLS": b"not wanted"}


def get(name, folder):
    """Fetch a release without waiting between tries."""
    return physionet.fetch(physionet.RELEASES[name], folder, address=physionet.ADDRESS, wait_s=0)


def here(folder):
    """Path to bytes of all files in a folder."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_data_set_is_fetched_whole(serve, tmp_path):
    """What is wanted arrives byte for byte; the command says what to do next."""
    serve("ptbdb", PTBDB)
    done = CliRunner().invoke(app, ["download", "ptbdb", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert here(tmp_path) == {path: data for path, data in PTBDB.items() if path != "CONTROLS"}
    assert f"next: ./ecg import ptbdb {tmp_path}" in " ".join(done.output.split())


ALL_FILES = {
    "ptbxl": (
        {"records500/00000/00001_hr.hea", "records500/00000/00001_hr.dat", "ptbxl_database.csv", "scp_statements.csv", "LICENSE.txt"},
        {"records100/00000/00001_lr.dat", "example_physionet.py"},
    ),
    "cinc2020": ({"training/georgia/g1/E00001.hea", "training/georgia/g1/E00001.mat", "LICENSE.txt"}, {"sources/a.zip"}),
    "cinc2021": ({"training/ptb-xl/g1/HR00001.hea", "training/ptb-xl/g1/HR00001.mat"}, {"index.html"}),
    "chapman": (
        {"WFDBRecords/01/010/JS00001.hea", "WFDBRecords/01/010/JS00001.mat", "ConditionNames_SNOMED-CT.csv"},
        {"WFDBRecords/01/010/x.m"},
    ),
    "ludb": ({"data/1.hea", "data/1.dat", "ludb.csv"}, {"data/1.avf"}),
    "mimic_iv_ecg": (
        {"files/p1000/p10000032/s1/1.hea", "files/p1000/p10000032/s1/1.dat", "record_list.csv", "machine_measurements.csv"},
        {"waveform_note_links.csv"},
    ),
}


@pytest.mark.parametrize("name", ALL_FILES)
def test_of_each_data_set_the_recordings_and_tables_are_fetched(serve, tmp_path, name):
    """And nothing that would not be read: PTB-XL's same hearts at 100 Hz, marks of waves, programs."""
    wanted, others = ALL_FILES[name]
    serve(name, {path: path.encode() for path in wanted | others})
    assert get(name, tmp_path).n_fetched == len(wanted)
    assert set(here(tmp_path)) == wanted


def test_every_data_set_on_physionet_has_a_release_and_can_be_imported():
    """The command's choices, the releases and the layouts are the same data sets."""
    assert {one.value for one in OnPhysioNet} == set(physionet.RELEASES)
    assert {name.removesuffix("2020").removesuffix("2021") for name in physionet.RELEASES} <= {one.value for one in DataSet}


def test_begun_again_it_asks_for_nothing_but_the_sums(serve, tmp_path):
    """What is there whole is not asked for."""
    site = serve("ptbdb", PTBDB)
    get("ptbdb", tmp_path)
    site.asked.clear()
    assert get("ptbdb", tmp_path).n_fetched == 0
    assert site.asked == [("SHA256SUMS.txt", 0)]


@pytest.mark.parametrize("name", ["s0010_re.dat", "s0010_re.dat.part"])
def test_of_a_file_that_is_there_in_part_the_rest_is_fetched(serve, tmp_path, name):
    """Under its own name, as wfdb's downloader leaves it, and as ours does."""
    site = serve("ptbdb", PTBDB)
    path = "patient001/s0010_re.dat"
    (tmp_path / "patient001").mkdir()
    (tmp_path / "patient001" / name).write_bytes(PTBDB[path][:7000])
    get("ptbdb", tmp_path)
    assert (tmp_path / path).read_bytes() == PTBDB[path]
    assert site.sent(path) == [7000]
    assert not list(tmp_path.rglob("*.part"))


def test_a_broken_connection_is_taken_up_again(serve, tmp_path):
    """The next request begins where the connection broke; a server that is busy is asked again."""
    site = serve("ptbdb", PTBDB)
    path = "patient001/s0010_re.dat"
    site.cut[path] = 5000
    site.busy["patient002/s0015lre.hea"] = 2
    get("ptbdb", tmp_path)
    assert here(tmp_path)[path] == PTBDB[path]
    assert site.sent(path)[0] == 0
    assert 0 < site.sent(path)[1] <= 5000
    assert len(site.sent("patient002/s0015lre.hea")) == 3


def test_a_server_that_cannot_go_on_sends_all_of_it(serve, tmp_path):
    """An answer with the whole file replaces what was there of it."""
    site = serve("ptbdb", PTBDB)
    site.goes_on = False
    path = "patient001/s0010_re.dat"
    (tmp_path / "patient001").mkdir()
    (tmp_path / f"{path}.part").write_bytes(b"something else")
    get("ptbdb", tmp_path)
    assert here(tmp_path)[path] == PTBDB[path]


def test_wrong_bytes_from_an_earlier_time_are_fetched_again(serve, tmp_path):
    """A file of the right length, or longer, whose sum is another, is fetched from its first byte."""
    site = serve("ptbdb", PTBDB)
    (tmp_path / "patient001").mkdir()
    same, longer = "patient001/s0010_re.dat", "patient001/s0010_re.hea"
    (tmp_path / same).write_bytes(bytes(len(PTBDB[same])))
    (tmp_path / longer).write_bytes(PTBDB[longer] + b"more")
    get("ptbdb", tmp_path)
    assert (here(tmp_path)[same], here(tmp_path)[longer]) == (PTBDB[same], PTBDB[longer])
    assert site.sent(same)[-1] == site.sent(longer)[-1] == 0


def test_bytes_that_are_not_those_of_the_list_are_refused(serve, tmp_path):
    """Twice wrong is wrong: the file is named, and nothing of it stays."""
    site = serve("ptbdb", PTBDB)
    path = "patient001/s0010_re.dat"
    site.files["SHA256SUMS.txt"] = site.sums().replace(hashlib.sha256(PTBDB[path]).hexdigest().encode(), b"0" * 64)
    with pytest.raises(BadInputError, match=r"s0010_re\.dat was fetched twice, and did not match its SHA-256") as refused:
        get("ptbdb", tmp_path)
    assert refused.value.reason == "checksum_mismatch"
    assert not list(tmp_path.rglob("s0010_re.dat*"))
    assert site.sent(path) == [0, 0]


@pytest.mark.parametrize("name", ["patient/../../x.hea", "patient001//x.hea", "patient001/..\\x.hea"])
def test_a_list_cannot_name_files_outside_the_folder(serve, tmp_path, name):
    """It is refused before anything is fetched."""
    site = serve("ptbdb", {**PTBDB, name: b"x"})
    with pytest.raises(BadInputError, match="not a plain relative path"):
        get("ptbdb", tmp_path / "in")
    assert [path for path, _ in site.asked] == ["SHA256SUMS.txt"]


def test_a_file_that_is_not_there_is_named(serve, tmp_path):
    """The list has it and the server does not."""
    site = serve("ptbdb", PTBDB)
    site.files["SHA256SUMS.txt"] = site.sums()
    del site.files["patient002/s0015lre.dat"]
    with pytest.raises(StoreError, match=r"s0015lre\.dat: the server answers 404"):
        get("ptbdb", tmp_path)


def test_no_more_than_some_files_at_once(serve, tmp_path):
    """Of many files some are fetched together, and never more."""
    site = serve("ptbdb", {f"patient{number:03d}/r.dat": bytes([number]) * 10 for number in range(40)})
    assert get("ptbdb", tmp_path).n_fetched == 40
    assert 1 <= site.most_at_once <= physionet.AT_ONCE


def test_without_the_network_a_sentence_says_so(monkeypatch, tmp_path):
    """The command ends with 1, and no traceback."""
    monkeypatch.setattr(physionet, "ADDRESS", "http://127.0.0.1:1/files/")
    monkeypatch.setattr(physionet, "_waits", lambda _first: [0.0])
    done = CliRunner().invoke(app, ["download", "ptbdb", str(tmp_path)])
    assert done.exit_code == 1
    assert "is this machine connected to the network?" in " ".join(done.output.split())
