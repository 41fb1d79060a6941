"""Files that arrive as files do: in any order, in parts, in capitals, with company. Each waits, is read or is passed over, and counted."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from ecg_tasks.archive import keys, labelling
from ecg_tasks.archive.documents import IntakeJob, read
from ecg_tasks.archive.object_store import ObjectInfo, ObjectStore
from ecg_tasks.pipeline import ingest_records
from ecg_tasks.pipeline.intake import headers, waiting
from ecg_tasks.pipeline.intake import inbox as inbox_module
from ecg_tasks.pipeline.maintenance.checksums import audit_checksums
from ecg_tasks.pipeline.maintenance.rules import with_their_files
from ecg_tasks.queries.lineage.links import LinkState, raw_link
from ecg_tasks.readers import file_names
from tests.fuzz.corpus import beat, recording
from tests.fuzz.memory_s3 import memory_store


class Inbox:
    """A bucket in memory into which files come, and runs of the intake."""

    def __init__(self):
        self.store, self.client = memory_store()
        self.client.modified = datetime.now(UTC)
        self._runs = 0

    def put(self, files: dict[str, bytes]) -> None:
        """Drop files."""
        self.client.objects.update({f"{keys.INBOX}{name}": data for name, data in files.items()})

    def run(self) -> dict:
        """One run of the DAG's tasks; returns its manifest."""
        self._runs += 1
        run = f"r{self._runs}"
        jobs = ingest_records.plan(run)
        if jobs:
            ingest_records.publish(run, [ingest_records.ingest_batch(job) for job in jobs])
        manifest = json.loads(self.store.get(keys.manifest("ingest_records", run)))
        counts = manifest["account"]
        assert counts["received"] == counts["records"] + counts["duplicates"] + counts["quarantined"]
        assert counts["waiting"] == len(self.left())
        assert counts["passed_over"] == sum(item["fate"] == "passed_over" for item in manifest["inputs"])
        return manifest

    def late(self) -> dict:
        """A run for which the grace period of everything is over."""
        self.client.modified = datetime.now(UTC) - timedelta(hours=2)
        return self.run()

    def left(self) -> list[str]:
        """Names that are still in the inbox."""
        return [key.removeprefix(keys.INBOX) for key in self.store.list_keys(keys.INBOX)]


@pytest.fixture
def inbox(monkeypatch) -> Inbox:
    """An empty inbox."""
    made = Inbox()
    monkeypatch.setattr(ObjectStore, "connect", lambda _: made.store)
    for name, value in {"ECG_BUCKET": "memory", "ECG_PATIENT_KEY": "k" * 32, "ECG_KEEP_NAMES": "1", "ECG_RAW_KEEPS": "as_dropped"}.items():
        monkeypatch.setenv(name, value)
    return made


def called(old: str, new: str, files: dict[str, bytes]) -> dict[str, bytes]:
    """The files under other names, and the header's words with them."""
    return {
        name.replace(old, new): data.replace(old.encode(), new.encode()) if name.endswith(".hea") else data for name, data in files.items()
    }


@pytest.mark.parametrize(
    ("folders", "takes"),
    [
        (("a", "b/deep", "c", "d"), [(2, 5, 5, 0), (2, 1, 1, 0), (0, 0, 0, 1)]),
        (("m", "n/deep", "o", "p"), [(1, 6, 6, 0), (1, 4, 4, 0), (1, 2, 2, 0), (1, 0, 0, 1)]),
    ],
)
def test_a_run_takes_the_first_folders_whole(inbox, monkeypatch, folders, takes):
    """Those behind are left to runs that follow at once. A label table waits for them, whatever its age; nothing is refused for it."""
    monkeypatch.setattr(inbox_module.whole_folders, "__kwdefaults__", {"most": 3, "most_counted": 100})
    for number, folder in enumerate(folders):
        inbox.put({f"{folder}/{name}": data for name, data in recording(beat_hz=1.1 + 0.1 * number).items()})
    inbox.put({"labels.csv": f"record,label\n{folders[0]}/r,normal\n{folders[-1]}/r,abnormal\nnone,normal\n".encode()})
    inbox.client.modified = datetime.now(UTC) - timedelta(hours=2)
    manifests = []
    for number in range(len(takes)):
        jobs = ingest_records.plan(f"run{number}")
        manifests.append(json.loads(inbox.store.get(ingest_records.publish(f"run{number}", list(map(ingest_records.ingest_batch, jobs))))))
    found = [(one["account"]["records"], one["account"]["waiting"], one["left"], len(one["quarantined"])) for one in manifests]
    assert found == takes
    assert inbox.left() == []
    assert [entry["name"] for entry in manifests[-1]["quarantined"]] == ["labels.csv#4"]
    assert len(labelling.labels_in_force(inbox.store)) == 2


def test_folders_that_only_wait_start_no_run_after_run(inbox, monkeypatch):
    """What is behind them has its turn when their grace period is over; a file that a person lets wait no longer is known until then."""
    monkeypatch.setattr(inbox_module.whole_folders, "__kwdefaults__", {"most": 1, "most_counted": 100})
    inbox.put({"a/r.dat": recording()["r.dat"]} | {f"b/{name}": data for name, data in recording().items()})
    inbox.store.put(keys.released("0" * 64), b"")
    manifest = inbox.run()
    assert (manifest["account"]["records"], manifest["account"]["waiting"], manifest["left"]) == (0, 3, 0)
    assert manifest["waiting_for"] == {"a header that names it": 1, "the next run": 2}
    assert inbox.store.exists(keys.released("0" * 64))
    assert [entry["name"] for entry in inbox.late()["quarantined"]] == ["a/r.dat"]
    assert inbox.run()["account"]["records"] == 1
    assert not inbox.store.exists(keys.released("0" * 64))


@pytest.mark.parametrize(
    ("names", "most", "most_counted", "taken", "n_beyond"),
    [
        (["a/1", "a/2", "a/b/3", "a/z", "b/1"], 1, 9, ["a/1", "a/2", "a/z"], 2),
        (["a/1", "a/2", "b/1", "c/1", "d/1"], 2, 2, ["a/1", "a/2"], 2),
        (["a/1", "b/1", "c/1", "z"], 9, 9, ["a/1", "b/1", "c/1", "z"], 0),
        (["1", "a/1", "b/1", "c/1", "z"], 1, 1, ["1", "z"], 3),
        (["a-b/1", "a/1", "a/2", "a0/1"], 2, 1, ["a-b/1", "a/1", "a/2"], 1),
        ([], 1, 1, [], 0),
    ],
)
def test_no_folder_is_cut(names, most, most_counted, taken, n_beyond):
    """All files of a folder are taken, or none, wherever they lie in the listing; it ends where no more of them can follow."""
    at = datetime.now(UTC)
    listed = [ObjectInfo(key=f"{keys.INBOX}{name}", size=1, etag="", modified=at) for name in ["", *names]]
    found = inbox_module.whole_folders(iter(listed), most=most, most_counted=most_counted)
    assert ([item.key.removeprefix(keys.INBOX) for item in found[0]], found[1]) == (taken, n_beyond)


@pytest.mark.parametrize("suffix", [".dat", ".mat", ".xyz", ".MAT", ".bin", ""])
def test_a_signal_file_waits_for_its_header(inbox, suffix):
    """Whatever a signal file is called, it waits for a header that names it, and is read with it."""
    files = called("r.dat", f"s{suffix}", recording())
    inbox.put({f"s{suffix}": files[f"s{suffix}"]})
    assert inbox.run()["waiting_for"] == {"a header that names it": 1}
    inbox.put({"r.hea": files["r.hea"]})
    assert inbox.run()["account"]["records"] == 1
    assert inbox.left() == []


@pytest.mark.parametrize(("suffix", "reason"), [(".mat", "incomplete"), (".dat", "incomplete"), (".bin", "unknown_format")])
def test_a_signal_file_without_a_header_is_told_in_the_end(inbox, suffix, reason):
    """When the grace period is over, a file that no header names goes to quarantine, with a sentence that is true."""
    inbox.put({f"s{suffix}": recording()["r.dat"]})
    (entry,) = inbox.late()["quarantined"]
    assert entry["reason"] == reason
    assert "s" + suffix in entry["message"]


def test_beats_without_a_name_that_tells_are_read_at_once(inbox):
    """A table of heartbeats called anything does not wait for a header, for its first bytes say what it is."""
    inbox.put({"beats": beat(1) + b"\n" + beat(2) + b"\n", "notes.xyz2": b"nothing that is known"})
    manifest = inbox.run()
    assert (manifest["account"]["records"], manifest["waiting"]) == (2, ["inbox/notes.xyz2"])


@pytest.mark.parametrize("name", ["r.dat", "r.hea"])
def test_a_placeholder_without_bytes_waits_for_its_content(inbox, name):
    """Some programs write an empty file first: it waits until it holds something."""
    files = recording()
    inbox.put(files | {name: b""})
    assert inbox.run()["account"] | {"waiting": 0} == dict.fromkeys(
        ("received", "records", "duplicates", "quarantined", "passed_over", "forgotten", "waiting"), 0
    )
    inbox.put(files)
    assert inbox.run()["account"]["records"] == 1
    assert inbox.left() == []


def test_what_stays_empty_is_told_so(inbox):
    """After the grace period an empty file is refused, and the sentence says that it is empty."""
    inbox.put(recording() | {"r.dat": b"", "beats.csv": b"", "labels.csv": b""})
    assert inbox.run()["account"]["waiting"] == 4
    told = {entry["name"]: entry["message"] for entry in inbox.late()["quarantined"]}
    assert told["r.hea"] == "r.dat came without content, and no content followed within 3600 s: upload it again"
    assert "empty" in told["beats.csv"]
    assert "empty" in told["labels.csv"]
    assert inbox.left() == []


@pytest.mark.parametrize(
    "names",
    [
        pytest.param({"r.hea": "up/R.HEA", "r.dat": "up/R.DAT"}, id="all in capitals"),
        pytest.param({"r.hea": "r.HEA", "r.dat": "r.dat"}, id="the header"),
        pytest.param({"r.hea": "r.hea", "r.dat": "R.dat"}, id="the signals"),
    ],
)
def test_capitals_do_not_matter(inbox, names):
    """A header's names match files that differ in upper and lower case alone; the record has its file's own name."""
    inbox.put({names[name]: data for name, data in recording().items()})
    manifest = inbox.run()
    assert (manifest["account"]["records"], inbox.left()) == (1, [])
    assert manifest["inputs"][0]["record_name"] == names["r.hea"][:-4]


def test_two_files_that_could_be_meant_are_named(inbox):
    """Where two files differ from a header's name in case alone, neither is taken, and both are named when the time is over."""
    files = recording()
    inbox.put({"r.hea": files["r.hea"], "R.dat": files["r.dat"], "r.DAT": files["r.dat"]})
    assert inbox.run()["account"]["waiting"] == 3
    told = {entry["name"]: entry["message"] for entry in inbox.late()["quarantined"]}
    assert "it is not clear which of R.dat, r.DAT is meant" in told["r.hea"]


@pytest.mark.parametrize(
    "name",
    [
        "beats.csv.part",
        "beats.csv.tmp",
        "beats.csv.filepart",
        "beats.csv.crdownload",
        "beats.csv~",
        "r.hea.PARTIAL",
        ".beats.csv.Xk29aQ",
        "~$beats.csv",
    ],
)
def test_an_unfinished_upload_is_never_read(inbox, name):
    """A name that programs give to an upload that goes on waits and is told, and is refused with a true sentence in the end."""
    inbox.put({name: beat(1) + b"\n" + beat(2)[:90]})
    manifest = inbox.run()
    assert (manifest["waiting_for"], manifest["waiting"]) == ({"the end of its upload": 1}, [f"inbox/{name}"])
    (entry,) = inbox.late()["quarantined"]
    assert entry["reason"] == "incomplete"
    assert f"{name} has the name of an unfinished upload, and nothing came for 3600 s" in entry["message"]


SIDE_FILES = {
    *("r.atr", "r.xws", "r.ii", "r.avf", "r.event", "R.ATR", "other.qrs"),
    *("RECORDS", "RECORDS-all", "ANNOTATORS", "SHA256SUMS.txt", "LICENSE.txt", "LICENSE", "README", "README.md", "index.html"),
    *(
        ".DS_Store",
        "Thumbs.db",
        "desktop.ini",
        "._r.hea",
        "._labels.csv",
        "__MACOSX/._r.dat",
        "__MACOSX/r.hea",
        "@eaDir/r.hea",
        "r.dat.md5",
    ),
}


def test_side_files_are_passed_over_and_counted(inbox):
    """What belongs to a recording, a data set or a system is no recording: kept in raw/, counted, and gone from the inbox."""
    inbox.put(recording() | {name: f"of {name}".encode() for name in SIDE_FILES} | {"w/": b""})
    manifest = inbox.run()
    assert manifest["quarantined"] == []
    assert manifest["account"] == {
        "received": 1,
        "records": 1,
        "duplicates": 0,
        "quarantined": 0,
        "passed_over": len(SIDE_FILES) + 1,
        "forgotten": 0,
        "waiting": 0,
    }
    assert inbox.left() == []
    kept = {data for key, data in inbox.client.objects.items() if key.startswith(keys.RAW)}
    assert kept >= {f"of {name}".encode() for name in SIDE_FILES}


def test_a_folder_that_holds_bytes_is_refused(inbox):
    """A key that ends with a slash is a folder's mark; one with content is a file that nobody can name, and is not left for ever."""
    inbox.put({"w/": b"", "full/": b"abc"})
    manifest = inbox.run()
    assert [(entry["name"], entry["reason"]) for entry in manifest["quarantined"]] == [("full/", "unsafe_path")]
    assert (manifest["account"]["passed_over"], inbox.left()) == (1, [])


def test_a_header_may_name_a_side_file(inbox):
    """What a header names is its signal, whatever it is called."""
    inbox.put(called("r.dat", "README", recording()))
    manifest = inbox.run()
    assert (manifest["account"]["records"], manifest["account"]["passed_over"]) == (1, 0)


def test_names_that_tell():
    """Names of recordings and tables are never taken for side files or for uploads that go on."""
    for name in (
        "a.csv",
        "labels.csv",
        "records_1.csv",
        "readme.csv",
        "part.csv",
        "tmp/a.csv",
        "a.hea",
        "download/a.dat",
        "my.notes/a.csv.gz",
    ):
        assert file_names.kind_of(f"inbox/{name}") in {file_names.Kind.OTHER, file_names.Kind.HEADER, file_names.Kind.SIGNAL}, name


def test_nothing_is_asked_for_where_nothing_is_left(inbox):
    """The last task asks for another run only where something lacks its turn, and not where no account was written."""
    assert ingest_records.plan("empty") == []
    assert waiting.rest("empty") == ""
    inbox.put({"r.hea": recording()["r.hea"]})
    inbox.run()
    assert waiting.rest("r1") == ""


def test_waiting_recordings_are_known_by_name(inbox):
    """A step may ask which recordings this run left in the inbox: those whose header or whose signals wait, by either name."""
    files = recording()
    inbox.put({"w/r.hea": files["r.hea"], "w/q.dat": files["r.dat"], "w/photo.jpg": b"x"})
    inbox.put({"w/beats.csv": b"0," * 187 + b"0"})
    (job,) = ingest_records.plan("r1")
    planned = read(inbox.store, IntakeJob, job).plan
    assert planned.all_waiting == ""
    assert waiting.recordings(inbox.store, planned) == {"w/r", "w/r.hea", "w/q", "w/q.dat"}
    assert waiting.count(planned) == 2


def test_a_label_table_may_mean_anything_that_waits(inbox, monkeypatch):
    """However much that is: the plan has the first keys only, and the others where the publication looks for them."""
    monkeypatch.setattr(waiting, "_NAMED", 1)
    files = recording()
    inbox.put({"w/a.hea": files["r.hea"], "w/b.hea": files["r.hea"], "w/labels.csv": b"record,label\nb,normal\n"})
    (job,) = ingest_records.plan("r1")
    planned = read(inbox.store, IntakeJob, job).plan
    assert (planned.waiting, waiting.count(planned)) == (("inbox/w/a.hea",), 2)
    key = ingest_records.publish("r1", [ingest_records.ingest_batch(job)])
    assert json.loads(inbox.store.get(key))["labels"]["tables"] == []
    assert inbox.left() == ["w/a.hea", "w/b.hea", "w/labels.csv"]
    assert inbox.store.list_keys("staging/") == [headers.MEMO]


def test_the_digest_of_a_drop_covers_names_and_lengths(inbox):
    """Two drops whose files are the same bytes when put together have two names, and neither overwrites the other."""
    inbox.put(
        {
            "a/r.hea": b"# x\nr",
            "a/r.dat": b"1",
            "b/r.hea": b"# x\n",
            "b/r.dat": b"r1",
            "c/r.hea": recording()["r.hea"],
            "c/r.dat": recording()["r.dat"],
        }
    )
    manifest = inbox.late()
    kept = [item["source"] for item in manifest["inputs"]]
    assert len(set(kept)) == len(kept) >= 3
    for item in manifest["inputs"]:
        if item["fate"] != "records":
            continue
        link = raw_link(inbox.store, item["source"])
        assert (link.state, set(link.metadata)) == (LinkState.CHECKED, {"r.hea", "r.dat"})


def test_a_signal_file_is_kept_once(inbox):
    """A signal file that many headers name lies in raw/ once, and each of their drops leads to it."""
    files = recording()
    inbox.put({"r.dat": files["r.dat"]} | {f"h{number}.hea": files["r.hea"] + b"# %d\n" % number for number in range(5)})
    manifest = inbox.run()
    assert [item["fate"] for item in manifest["inputs"]] == ["records"] * 5
    signals = [key for key, data in inbox.client.objects.items() if key.startswith(keys.RAW) and data == files["r.dat"]]
    assert len(signals) == 1
    assert {raw_link(inbox.store, item["source"]).state for item in manifest["inputs"]} == {LinkState.CHECKED}
    assert signals[0].split("/")[1] in with_their_files(inbox.store, {manifest["inputs"][0]["source"]})
    inbox.client.objects[signals[0]] = b"other bytes"
    assert {raw_link(inbox.store, item["source"]).state for item in manifest["inputs"]} == {LinkState.BROKEN}
    assert len(audit_checksums(inbox.store, run="x", sample=100).damaged) == 6


def test_what_version_0_1_kept_is_still_checked(inbox):
    """Drops whose files were digested one after another, and kept together, are whole by the old rule, and broken when they changed."""
    import hashlib

    files = recording()
    source = hashlib.sha256(files["r.hea"] + files["r.dat"]).hexdigest()
    for name, data in files.items():
        inbox.client.objects[f"raw/{source}/{name}"] = data
    assert raw_link(inbox.store, source).state is LinkState.CHECKED
    assert audit_checksums(inbox.store, run="x", sample=100).damaged == ()
    assert with_their_files(inbox.store, {source}) == {source}
    inbox.client.objects[f"raw/{source}/r.dat"] = b"other"
    assert raw_link(inbox.store, source).state is LinkState.BROKEN
    assert len(audit_checksums(inbox.store, run="x", sample=100).damaged) == 1


def test_headers_are_read_once(inbox, monkeypatch):
    """A header that waits is asked for by the first run only; one that changed is read again, and nothing is kept of what is gone."""
    asked: list[str] = []
    get = inbox.client.get_object
    monkeypatch.setattr(inbox.client, "get_object", lambda **what: asked.append(what["Key"]) or get(**what))
    inbox.put({f"{number}.hea": recording(f"x{number}")[f"x{number}.hea"] for number in range(50)})
    inbox.run()
    assert sum(key.endswith(".hea") for key in asked) == 50
    asked.clear()
    inbox.put({"7.hea": recording("y7")["y7.hea"], "50.hea": recording("x50")["x50.hea"]})
    inbox.run()
    assert sorted(key for key in asked if key.endswith(".hea")) == ["inbox/50.hea", "inbox/7.hea"]
    asked.clear()
    inbox.put({name: data for number in range(51) for name, data in recording(f"x{number}").items() if name.endswith(".dat")})
    inbox.put(recording("y7"))
    manifest = inbox.run()
    assert manifest["account"]["records"] + manifest["account"]["duplicates"] == 52
    inbox.run()
    assert headers.MEMO not in inbox.client.objects


def test_a_lost_memo_costs_nothing_but_reading(inbox):
    """What was kept of headers may be damaged or gone: they are read again."""
    inbox.put({"r.hea": recording()["r.hea"]})
    inbox.run()
    inbox.client.objects[headers.MEMO] = b"rubbish"
    inbox.put({"r.dat": recording()["r.dat"]})
    assert inbox.run()["account"]["records"] == 1


def test_a_large_drop_is_taken_in_parts_in_the_order_of_its_upload(inbox, monkeypatch):
    """What a run has no room for is left to the next, which is asked for; the first to be complete is the first to be taken."""
    monkeypatch.setattr(headers.read_once, "__kwdefaults__", {"max_unread": 20})
    from ecg_tasks.pipeline.intake import drops

    monkeypatch.setattr(drops.sort_inbox, "__kwdefaults__", drops.sort_inbox.__kwdefaults__ | {"max_unread": 20, "max_drops": 10})
    began = datetime.now(UTC) - timedelta(minutes=30)
    times = {}
    told = inbox.client._told
    monkeypatch.setattr(inbox.client, "_told", lambda key: told(key) | {"LastModified": times.get(key, inbox.client.modified)})
    for number in range(45):
        files = recording(f"n{45 - number:02d}", leads="I II")
        files[f"n{45 - number:02d}.dat"] = bytes([number + 1]) + files[f"n{45 - number:02d}.dat"][1:]
        inbox.put(files)
        times |= {f"{keys.INBOX}{name}": began + timedelta(seconds=number) for name in files}
    taken, left = [], 1
    while left:
        manifest = inbox.run()
        assert bool(waiting.rest(f"r{len(taken) + 1}")) == bool(manifest["left"])
        taken.append([int(item["name"][1:3]) for item in manifest["inputs"]])
        left = manifest["left"]
        assert manifest["waiting_for"].get("the next run", 0) > 0 or not left
    assert max(map(len, taken)) == 10
    assert sorted(number for part in taken for number in part) == list(range(1, 46))
    order = [max(part) for part in taken]
    assert order == sorted(order, reverse=True)
    assert inbox.left() == []


def test_three_hundred_headers_that_name_each_other_are_read_once(inbox, monkeypatch):
    """Headers that name each other as segments are refused one by one, with one request each and no copy of the others."""
    n = 300
    monkeypatch.setenv("ECG_WFDB_GRACE_S", "0")
    names = [f"m{number:03d}" for number in range(n)]
    inbox.put({f"{name}.hea": f"{name}/{n} 3 100 {n}\n".encode() + "".join(f"{other} 1\n" for other in names).encode() for name in names})
    asked: list[str] = []
    get = inbox.client.get_object
    monkeypatch.setattr(inbox.client, "get_object", lambda **what: asked.append(what["Key"]) or get(**what))
    (job, *_) = jobs = ingest_records.plan("r")
    assert sum(key.endswith(".hea") for key in asked) == n
    work = json.loads(inbox.store.get(job))
    assert {len(drop["files"]) for drop in work["drops"]} == {1}
    assert all("is itself made of segments" in drop["message"] for drop in work["drops"])
    assert sum(len(json.loads(inbox.store.get(one))["drops"]) for one in jobs) == n


def test_segments_are_never_taken_apart(inbox, monkeypatch):
    """While a header of segments has not been read, its segments wait with it, and are no recordings of their own."""
    from ecg_tasks.pipeline.intake import drops

    segment = recording("m_0001")
    inbox.put(segment | {"m.hea": b"m/1 3 100 1200\nm_0001 1200\n"})
    times = {"inbox/m.hea": datetime.now(UTC)}
    told = inbox.client._told
    monkeypatch.setattr(
        inbox.client, "_told", lambda key: told(key) | {"LastModified": times.get(key, datetime.now(UTC) - timedelta(seconds=60))}
    )
    monkeypatch.setattr(drops.sort_inbox, "__kwdefaults__", drops.sort_inbox.__kwdefaults__ | {"max_unread": 1, "max_drops": 10})
    first = inbox.run()
    assert (first["account"]["received"], first["left"] > 0) == (0, True)
    second = inbox.run()
    assert [item["name"] for item in second["inputs"]] == ["m.hea"]
    assert second["account"]["records"] == 1
