"""Here: what is fuzzed: each target takes bytes, says what became of them, and raises where a promise was broken.

Not here: making the bytes (``engines``), the pages' target (``pages_target``), or running a million of them (``__main__``).
"""

import gzip
import re
import zlib
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

import numpy as np

from benchmarks import written_files
from ecg_tasks import readers
from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import QuarantineReason, read
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.pipeline.intake import drops, inbox, label_tables, reading, taking
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.readers import READERS, Read, Rejected, reader_of
from ecg_tasks.readers.base import Reader
from ecg_tasks.readers.heartbeat_csv import VALUE_RANGE, HeartbeatCsvReader
from ecg_tasks.readers.labels_csv import read_labels
from ecg_tasks.readers.leads import MAX_LEVEL_MV, MAX_OFFSET_MV, finish
from ecg_tasks.readers.record_names import paths_meant
from ecg_tasks.readers.text_file import unpack
from ecg_tasks.readers.wfdb.header import parse_header
from ecg_tasks.readers.wfdb.record import WfdbReader
from ecg_tasks.readers.xml_formats.xli import unpack_xli
from ecg_tasks.signals.recipes import RECIPES
from ecg_tasks.signals.record import STANDARD_LEADS
from tests.fuzz import archive_target, bundle
from tests.fuzz.corpus import MAX_KEY_BYTES, cases
from tests.fuzz.memory_s3 import PREFIXES, memory_store
from tests.hospital_files import WORDS_OF_THE_PERSON, muse, philips, scp_with_own_tables, scp_with_right_sums, shorter, strip, xli
from tests.reading_here import read_all_here
from tests.readings import read_heartbeat_csv, read_wfdb, wfdb_files

Check = Callable[[bytes], list[str]]
"""What became of an input: ``accepted``, or the code of every refusal; an exception is a fault of ours."""
ACCEPTED = "accepted"
MAX_MESSAGE_CHARS = 3000
_LARGEST_SEED = 20_000
_ASIDE = b"\n>>> signals.json\n"
_TEXT_BOUND = 4096


@dataclass(frozen=True, kw_only=True)
class Target:
    """A reader with examples of its input and words that mean something to it."""

    opened: Callable[[], AbstractContextManager[Check]]
    seeds: Callable[[], list[bytes]]
    words: tuple[bytes, ...]
    max_bytes: int = 4096


def refusal(fault: BadInputError | Rejected) -> str:
    """The code of a refusal, which must come with a sentence of a bounded length that can be stored and tells no person."""
    assert isinstance(fault.reason, Reason)
    assert 0 < len(fault.message) <= MAX_MESSAGE_CHARS, len(fault.message)
    fault.message.encode()
    assert not any(word in fault.message for word in WORDS_OF_THE_PERSON), fault.message
    return fault.reason.value


@readers.unwarned()  # as they are called
def _refused(read: Callable[[bytes], Iterable[str]], data: bytes) -> list[str]:
    try:
        return list(read(data)) or [ACCEPTED]
    except BadInputError as fault:
        return [refusal(fault)]


def _reader(read: Callable[[bytes], Iterable[str]]) -> Callable[[], AbstractContextManager[Check]]:
    return lambda: nullcontext(partial(_refused, read))


def _blank(reader: Reader, files: Mapping[str, bytes], name: str) -> None:
    """Make the copy without identifiers of files that can be read: the reader's own code must not fail, whatever its proof would say.

    Of every fourth input, since it takes as long again as reading it.
    """
    if zlib.crc32(next(iter(files.values()))) % 4:
        return
    with suppress(BadInputError):
        assert list(reader.deidentified(files, name)) == list(files)


def _heartbeats(data: bytes) -> list[str]:
    reading = read_heartbeat_csv(data, name="x.csv")
    _blank(HeartbeatCsvReader(), {"x.csv": data}, "x.csv")
    for record in reading.records:
        assert record.samples.shape == (1, 187)
        assert record.samples.min() >= np.float32(VALUE_RANGE[0])
        assert record.samples.max() <= np.float32(VALUE_RANGE[1])
        assert record.label in {None, *CLASS_ORDER}
    return _codes(reading)


def _codes(reading: Read) -> list[str]:
    names = [found.name for found in (*reading.records, *reading.rejected)]
    assert len(set(names)) == len(names)
    return [refusal(rejected) for rejected in reading.rejected]


def _label_rows(data: bytes) -> list[str]:
    table = read_labels(data, name="a/labels.csv")
    for row in table.rows:
        assert row.record
        assert row.age is None or 0 <= row.age <= 130
        assert all(name and not name.startswith("../") for names in paths_meant(row.record, folder="a") for name in names)
    return [refusal(rejected) for rejected in table.rejected]


def _header(data: bytes) -> list[str]:
    names = wfdb_files(data, name="a/r.hea")
    for name in names:
        assert re.fullmatch(r"[^/\\:.][^/\\:]*", name), name
    header = parse_header(data, name="a/r.hea")
    assert 0 < header.fs < np.inf
    assert not (header.signals and header.segments)
    assert len({signal.name for signal in header.signals}) == len(header.signals)
    assert {signal.file_name for signal in header.signals} - {"~"} <= set(names)
    return []


def _recording(data: bytes) -> list[str]:
    files = bundle.unpack(data)
    header = next((name for name in files if name.endswith(".hea")), "r.hea")
    (record,) = (reading := read_wfdb(files, header=header, name="a/r")).records
    _blank(WfdbReader(), {header: files[header]} | files, f"a/{header}")
    assert not np.isinf(record.samples).any()
    assert np.nanmax(np.abs(record.samples)) <= np.float32(MAX_LEVEL_MV + MAX_OFFSET_MV)
    assert len(set(record.leads)) == len(record.leads)
    heartbeat = RECIPES["heartbeat"]
    assert heartbeat.accepts(record)
    rendered = heartbeat.render([record])
    assert np.isfinite(rendered.quality).all()
    assert (RECIPES["twelve_lead"].render([record]).window >= 0).all() if RECIPES["twelve_lead"].accepts(record) else True
    return _codes(reading)


def _leads_in_xli(data: bytes) -> list[str]:
    """Of a pack that need not be true to any XML around it: as many samples as were asked for, or a refusal."""
    assert unpack_xli(data, n_leads=6, n_samples=100, name="x").shape == (6, 100)
    return []


def _of_format(name: str, *, changed: Callable[[bytes], bytes] = bytes) -> Callable[[], AbstractContextManager[Check]]:
    """A reader by its name: what it gives is whole and within bounds, and what it refuses it refuses without a word of the person.

    ``changed`` makes checksums right first, so that what else is wrong in a file is met. What follows a mark is the sidecar.
    """
    reader = next(reader for reader in READERS if reader.name == name)

    def check(data: bytes) -> list[str]:
        content, _, aside = changed(data).partition(_ASIDE)
        if not reader.knows("w", content[: readers.HEAD_BYTES]):
            return [Reason.UNKNOWN_FORMAT.value]
        files = {"w": content} | ({"signals.json": aside} if aside and reader.companions("w", content).optional else {})
        found = reader.read(files, "a/w")
        assert found.recordings or found.rejected
        codes, records = [], []
        for recording in found.recordings:
            lengths = {(lead.fs, lead.samples.size) for lead in recording.leads}
            assert len(lengths) == len({fs for fs, _ in lengths})
            assert recording.patient.age is None or 0 <= recording.patient.age <= 130
            assert len(recording.acquisition.device or "") <= 80
            try:
                record = finish(recording)
            except BadInputError as fault:
                codes.append(refusal(fault))
            else:
                assert lengths
                assert not np.isinf(record.samples).any()
                assert np.nanmax(np.abs(record.samples)) <= np.float32(MAX_LEVEL_MV + MAX_OFFSET_MV)
                records.append(record)
        if not codes:
            _blank(reader, files, "a/w")
        return codes + _codes(Read(records=tuple(records), rejected=found.rejected))

    return _reader(check)


def _written(name: str) -> list[bytes]:
    """Short files of a format, with what a sidecar says behind them."""
    one = written_files.Made(stored=written_files.made(n_samples=360).stored, fs=60)
    few = written_files.Made(stored=one.stored[:60], fs=60)
    found = [written_files.WRITERS[name](made) for made in (one, few)]
    found += [written_files.npz(few)] * (name == "numpy") + [written_files.edf(few, bdf=True)] * (name == "edf")
    return [content + _ASIDE + b"".join(aside) for content, *aside in (files.values() for files in found)]


def _unpacked(data: bytes) -> list[str]:
    """The first byte says how the rest is wrapped, since chance alone makes no gzip."""
    how, rest = data[:1], data[1:]
    wrapped = {b"1": gzip.compress(rest, 1), b"2": gzip.compress(rest, 1)[: -1 - len(rest) % 9], b"3": b"\x1f\x8b\x08" + rest}
    wrapped[b"4"] = b"".join(gzip.compress(part, 1) for part in rest.split(b"|"))
    assert len(unpack(wrapped.get(how, rest), name="x.gz", max_bytes=_TEXT_BOUND)) <= _TEXT_BOUND
    return []


def _detected(data: bytes) -> list[str]:
    name, _, head = data.partition(b"\n")
    found = reader_of(name.decode(errors="surrogateescape"), head)
    assert found is None or found in READERS
    return [Reason.UNKNOWN_FORMAT.value] if found is None else []


def _names(data: bytes) -> list[str]:
    text = data.decode(errors="surrogateescape")
    for key in (
        keys.raw("0" * 64, text),
        keys.quarantined("0" * 64, text),
        keys.manifest("ingest_records", keys.run_key(text)[:250]),
        keys.staging("ingest_records", keys.run_key(text)[:250], "plan.json"),
    ):
        assert len(key.encode()) <= MAX_KEY_BYTES
        assert key.startswith(PREFIXES)
        assert not {"", ".", ".."} & set(key.split("/")), key
        assert key.isprintable()
    assert keys.quarantined("0" * 64, text) != keys.quarantine_reason("0" * 64)
    assert keys.run_key(keys.run_key(text)) == keys.run_key(text)
    assert keys.run_key(f"{text}+") != keys.run_key(f"{text}-")
    path = inbox.checked_path(text)
    assert keys.file_name(path.rsplit("/", 1)[-1]) == path.rsplit("/", 1)[-1]
    assert path == path.encode().decode()
    return []


def _inbox(data: bytes) -> list[str]:
    """A whole inbox sorted and taken over: every file is accounted for, and every key is one that a store takes."""
    files = {f"{keys.INBOX}{name}": content for name, content in bundle.unpack(data).items() if 0 < len(name.encode()) <= MAX_KEY_BYTES - 6}
    store, client = memory_store(files)
    at = datetime(2026, 1, 2, tzinfo=UTC)
    found = drops.sort_inbox(store, store.list_objects(keys.INBOX), at=at, grace_s=60, max_bytes=50_000)
    assert not found.waiting
    staged, key = keys.staging("ingest_records", "fuzz", "tables"), b"k" * 32
    keeping = Keeping(keeps="as_dropped", names=StoredNames(key=key, keep=True))
    (described,) = label_tables.stage(store, staged, found.labels, batches=[found.drops], patient_key=key, keeping=keeping)
    rows = label_tables.load_described(store, described)
    tables = list(label_tables.load(store, staged, len(found.labels)))
    codes: list[str] = []
    accounted = {table.key for table in found.labels}
    for one in reading.read_drops(found.drops, get=partial(taking.get, store), parse=read_all_here, keeping=keeping):
        taken = taking.take(store, one, described=rows, patient_key=key, dates="exact", keeping=keeping)
        counts = taken.outcome
        assert counts.received == counts.records + counts.quarantined
        assert counts.received + counts.passed_over > 0
        assert len(taken.records) == counts.records
        accounted.update(file.key for file in counts.files)
        for entry in taken.quarantined:
            codes.append(Reason(entry.reason).value)
            assert "its reader failed" not in entry.message, entry.message
            assert 0 < len(entry.message) <= MAX_MESSAGE_CHARS + MAX_KEY_BYTES
            assert read(store, QuarantineReason, keys.quarantine_reason(entry.entry)).entry == entry.entry
    assert accounted == set(files), set(files) - accounted
    kept = {content for key, content in client.objects.items() if key.startswith((keys.RAW, keys.QUARANTINE))}
    assert all(files[file.key] in kept for drop in found.drops for file in drop.files)
    return codes + [refusal(table.fault) for table in tables if table.fault is not None]


def _files_of(endings: tuple[str, ...]) -> list[bytes]:
    """Files of the corpus with names that end so, the large ones left out, each content once."""
    found = {data: None for case in cases() for name, data in case.files.items() if name.endswith(endings) and len(data) <= _LARGEST_SEED}
    return list(found)


def _whole(suffix: str) -> list[bytes]:
    """Cases of the corpus as bundles, those that have a file called so."""
    packed = [bundle.pack(case.files) for case in cases() if any(name.endswith(suffix) for name in case.files)]
    return [data for data in packed if len(data) <= _LARGEST_SEED]


def _opened_recording() -> AbstractContextManager[Check]:
    return nullcontext(partial(_refused, _recording))


def _opened_pages() -> AbstractContextManager[Check]:
    from tests.fuzz import pages_target  # imports Airflow

    return pages_target.opened()


def _page_seeds() -> list[bytes]:
    from tests.fuzz import pages_target

    return pages_target.seeds()


_CSV_WORDS = (b",", b"\n", b"\r\n", b"0.5,", b"nan", b"-inf", b"1e400", b'"', b";", b"\xef\xbb\xbf", b"\0", b"\x1f\x8b\x08", b"0,1\n")
_WFDB_WORDS = (
    *(b"16 24 32 61 80 160 212 310 311 516".split()),
    *(b"II V1 ~ .. ../ /2 x0 x1000 :3 +8 (0) /mV /uV 1e999 -1 0 999999999 65536 # # age: r.dat r.hea s m 250/360(5)".split(b" ")),
    b"\n",
    b">>> r.dat\n",
    b">>> s.hea\n",
)
_KEY_WORDS = (b"../", b"./", b"//", b"\\", b"inbox/", b"reason.json", b".hea", b".dat", b"labels.csv", b"\xe2\x80\xae", b"\xff", b"\0")
_LABEL_WORDS = (b"record,label", b"patient_id", b"age", b"sex", b"normal", b"abnormal", b"uninterpretable", b"300", b"../", b"#3")
_XML_WORDS = (
    *(b'<!ENTITY a "aaaa"> &a; <!DOCTYPE x [ ]> <![CDATA[ ]]> <?xml encoding="utf-16"?> </ /> &#0; xmlns:a="b" <!-- -->'.split(b" ")),
    *(b"1e999 -1 0 nan 99999999999 0.002 uV mV nV MICROVOLTS XLI Base64 AAAA ==== \xff\xfe".split()),
)
_BINARY_WORDS = (b"\0", b"\xff\xff", b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\x01\0", b"SCPECG", b"ISHNE1.0", b"\x1f\x4e", b"\xf7\xff")


def _small_philips() -> bytes:
    """The least that its reader takes to the end: a pack of six leads for its changes to fall on."""
    return philips(strip(leads=STANDARD_LEADS[:6], seconds=5, fs=50, step_nv=5000), encoding="utf-8")


_SIDECAR_WORDS = (_ASIDE, b'{"fs": 500, "unit": "mV", "leads": ["I", "II"], "axis": 1}', b'"fs": 1e400', b'"axis": 0')

TARGETS: dict[str, Target] = {
    "heartbeat CSV": Target(opened=_reader(_heartbeats), seeds=lambda: _files_of(("beats.csv", ".gz")), words=_CSV_WORDS, max_bytes=6000),
    "labels.csv": Target(opened=_reader(_label_rows), seeds=lambda: _files_of(("labels.csv",)), words=_CSV_WORDS + _LABEL_WORDS),
    "WFDB header": Target(opened=_reader(_header), seeds=lambda: _files_of((".hea",)), words=_WFDB_WORDS),
    "WFDB recording": Target(opened=_opened_recording, seeds=lambda: _whole(".hea"), words=_WFDB_WORDS, max_bytes=12_000),
    "gzip": Target(
        opened=_reader(_unpacked),
        seeds=lambda: [b"%d%s" % (how, text) for how in range(5) for text in (b"1,2\n", b"a|b", b"0" * 5000)],
        words=(),
    ),
    "format detection": Target(
        opened=_reader(_detected),
        seeds=lambda: [f"{name}\n".encode() + data for case in cases() for name, data in case.files.items() if len(data) < 3000][:150],
        words=_CSV_WORDS + _LABEL_WORDS + _KEY_WORDS,
    ),
    **{
        title: Target(opened=_of_format(name), seeds=partial(_written, name), words=words + _SIDECAR_WORDS, max_bytes=40_000)
        for title, name, words in (
            (
                "DICOM",
                "dicom",
                (b"SQ\0\0\xff\xff\xff\xff", b"\xfe\xff\0\xe0\xff\xff\xff\xff", b"\x00\x54\x10\x10OW", b"5.6.3-9-1", b"UL\4\0"),
            ),
            ("EDF", "edf", (b"-1      ", b"99999999", b"EDF+D", b"1e300   ", b"uV      ", b"Startdate X", b"\xffBIOSEMI")),
            ("NumPy arrays", "numpy", (b"(5000, 12)", b"'<f8'", b"'|O'", b"(-1,)", b"PK\1\2", b"fs.npy", b"9" * 12)),
            ("MATLAB arrays", "matlab", (b"\x0e\0\0\0", b"\x0f\0\0\0", b"\xff\xff\xff\x7f", b"\6\0\0\0\x08\0\0\0", b"fs", b"ecg")),
            ("HDF5 arrays", "hdf5", (b"TREE", b"SNOD", b"HEAP", b"OHDR", b"tracings", b"exam_id", b"\xff" * 8, b"\x0b\0")),
            ("lead Parquet", "lead_parquet", (b"PAR1", b"\x15\x00", b"\xff\xff\xff\xff\x0f", b"time_s", b"II_uV")),
            ("lead CSV", "lead_csv", (*_CSV_WORDS, b"time_s,II_mV", b"II (mV)", b"0:01.5,", b"'hh:mm:ss.mmm'")),
        )
    },
    "keys": Target(
        opened=_reader(_names),
        seeds=lambda: [name.encode() for case in cases() for name in case.files] + [b"manual__2026-01-01T00:00:00+00:00"],
        words=_KEY_WORDS,
        max_bytes=1100,
    ),
    "inbox": Target(
        opened=_reader(_inbox), seeds=lambda: [*_whole(""), bundle.pack({"a/../x": b"1"})], words=_KEY_WORDS + _WFDB_WORDS, max_bytes=12_000
    ),
    "archives": Target(opened=_reader(archive_target.check), seeds=archive_target.seeds, words=archive_target.WORDS, max_bytes=12_000),
    "MUSE XML": Target(
        opened=_of_format("muse_xml"),
        seeds=lambda: [shorter("muse"), muse(strip(leads=("I", "II"), seconds=5, fs=50), crc=False)],
        words=_XML_WORDS,
        max_bytes=20_000,
    ),
    "aECG XML": Target(opened=_of_format("aecg_xml"), seeds=lambda: [shorter("aecg")], words=_XML_WORDS, max_bytes=20_000),
    "CardioSoft XML": Target(
        opened=_of_format("cardiosoft_xml"), seeds=lambda: [shorter("cardiosoft")], words=_XML_WORDS, max_bytes=20_000
    ),
    "Philips XML": Target(
        opened=_of_format("philips_xml"), seeds=lambda: [shorter("philips"), _small_philips()], words=_XML_WORDS, max_bytes=40_000
    ),
    "XLI": Target(
        opened=_reader(_leads_in_xli),
        seeds=lambda: [xli(strip(leads=STANDARD_LEADS[:6], seconds=2, fs=50).counts)],
        words=_BINARY_WORDS,
    ),
    "SCP-ECG": Target(
        opened=_of_format("scp_ecg", changed=scp_with_right_sums),
        seeds=lambda: [shorter("scp"), scp_with_own_tables()],
        words=_BINARY_WORDS,
        max_bytes=12_000,
    ),
    "ISHNE": Target(
        opened=_of_format("ishne", changed=lambda data: data[:8] + b"\0\0" + data[10:]),
        seeds=lambda: [shorter("ishne")],
        words=_BINARY_WORDS,
        max_bytes=12_000,
    ),
    "pages": Target(
        opened=_opened_pages,
        seeds=_page_seeds,
        words=(b"..", b"%2e%2e", b"%2F", b"%00", b"%0d%0a", b"&", b"=", b"?", b"-1", b"9" * 30, b"NaN", b"%ff", b"%ed%a0%80", b"\n\n"),
        max_bytes=2000,
    ),
}
