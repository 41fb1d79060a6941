"""The download from PhysioNet, against a small PhysioNet on the loopback: the same addresses, and parts of files on request."""

import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import wfdb
from typer.testing import CliRunner
from wfdb.io import download as wfdb_download

from ecg_tasks.cli.__main__ import app
from ecg_tasks.signals.sample_files import wfdb_record

STEMS = {"ptbdb": ["patient001/s0010_re", "patient002/s0015lre"], "ptb-xl": ["records500/00000/00001_hr", "records100/00000/00001_lr"]}


@pytest.fixture
def physionet(monkeypatch):
    """What the server holds and what it was asked for: (path, bytes from, or None for all)."""
    rng = np.random.default_rng(4)
    files = {
        "/files/ptb-xl/1.0.3/ptbxl_database.csv": b"ecg_id\n1\n",
        "/files/ptb-xl/1.0.3/scp_statements.csv": b"",
        "/files/ptb-xl/1.0.3/LICENSE.txt": b"free",
    }
    for name, stems in STEMS.items():
        root = f"/files/{name}/1.0.3/"
        files[f"{root}RECORDS"] = "\n".join(stems).encode()
        files[f"/content/{name}/"] = b"<p>Version: 1.0.3</p>"
        files[f"/content/{name}/1.0.3/"] = b"here it is"
        for stem in stems:
            folder, _, last = stem.rpartition("/")
            made = wfdb_record(rng.normal(size=(2, 5000)), fs=500, leads=("i", "ii"), stem=last)
            files |= {f"{root}{folder}/{file}": data for file, data in made.items()}
    asked = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            whole = files.get(self.path)
            if whole is None:
                self.send_error(404)
                return
            wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
            start, end = (int(wanted[1]), min(int(wanted[2] or len(whole)), len(whole) - 1) + 1) if wanted else (0, len(whole))
            asked.append((self.path, start if wanted else None))
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header("Content-Range", f"bytes {start}-{end - 1}/{len(whole)}")
            self.send_header("Content-Length", str(end - start))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(whole[start:end])

        do_HEAD = do_GET  # noqa: N815 - the name that the server looks for

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(wfdb_download, "PN_CONTENT_URL", f"{address}/content/")
    wfdb.set_db_index_url(f"{address}/files/")
    yield files, asked
    wfdb.set_db_index_url()
    server.shutdown()
    server.server_close()


def fetch(dataset, folder):
    """Run the command; it must succeed."""
    done = CliRunner().invoke(app, ["download", dataset, str(folder)])
    assert done.exit_code == 0, done.output


def test_a_data_set_is_fetched_whole(physionet, tmp_path):
    """Every recording of the raw PTB database arrives byte for byte, in its patient's folder."""
    files, _ = physionet
    fetch("ptbdb", tmp_path)
    for stem in STEMS["ptbdb"]:
        for suffix in (".hea", ".dat"):
            assert (tmp_path / f"{stem}{suffix}").read_bytes() == files[f"/files/ptbdb/1.0.3/{stem}{suffix}"]


def test_of_ptbxl_the_500_hz_recordings_and_the_tables_are_fetched(physionet, tmp_path):
    """The same hearts at 100 Hz add nothing."""
    fetch("ptbxl", tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    first = STEMS["ptb-xl"][0]
    assert found == {"ptbxl_database.csv", "scp_statements.csv", "LICENSE.txt", f"{first}.hea", f"{first}.dat"}


def test_begun_again_it_goes_on_where_it_stopped(physionet, tmp_path):
    """Of a file that is there in part the rest alone is asked for, and of a whole one nothing."""
    files, asked = physionet
    fetch("ptbdb", tmp_path)
    first, second = (f"/files/ptbdb/1.0.3/{stem}.dat" for stem in STEMS["ptbdb"])
    cut = tmp_path / f"{STEMS['ptbdb'][0]}.dat"
    cut.write_bytes(files[first][:7000])
    asked.clear()
    fetch("ptbdb", tmp_path)
    assert (cut.stat().st_size, cut.read_bytes() == files[first]) == (len(files[first]), True), asked
    starts = [start for path, start in asked if path == first and start]
    assert starts
    assert min(starts) == 7000
    assert not [start for path, start in asked if path == second and start is not None and start < len(files[second]) - 1 and start > 0]


def test_without_the_network_a_sentence_says_so(physionet, tmp_path):
    """The command ends with 1, and no traceback."""
    wfdb.set_db_index_url("http://127.0.0.1:1/files/")
    done = CliRunner().invoke(app, ["download", "ptbdb", str(tmp_path)])
    assert done.exit_code == 1
    assert "is this machine connected to the network?" in " ".join(done.output.split())
