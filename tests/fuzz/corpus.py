"""Here: files that people send by mistake or on purpose, each with what must become of it. Not here: running them.

All of them are made by this code; none was measured on a person. They are also what the fuzzers begin with.
"""

import gzip
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from itertools import count

import numpy as np

from ecg_tasks.errors import Reason

MAX_KEY_BYTES = 1024
"""S3's bound."""
BOM = b"\xef\xbb\xbf"
FS = 100
N_FRAMES = 1200
_WRONG, _UNREADABLE, _UNSAFE, _LARGE = Reason.WRONG_WIDTH, Reason.UNREADABLE, Reason.UNSAFE_PATH, Reason.TOO_LARGE


@dataclass(frozen=True, kw_only=True)
class Case:
    """One drop and what must become of it.

    ``files`` lie in a folder of their own, by name; ``refused`` is the code of each entry that must stand in quarantine, by the file or
    row it names; ``records`` is how many recordings must be read all the same.
    """

    name: str
    files: dict[str, bytes]
    refused: dict[str, Reason] = field(default_factory=dict)
    records: int = 0


def cases() -> Iterator[Case]:
    """Every case; names are unique."""
    yield from _beats_that_are_read()
    yield from _beats_refused_whole()
    yield from _beats_with_a_bad_row()
    yield from _unknown()
    yield from _labels()
    yield from _wfdb_that_is_read()
    yield from _wfdb_pointing_elsewhere()
    yield from _wfdb_promising()
    yield from _wfdb_signals()
    yield from _wfdb_segments()
    yield from _keys()


def beat(seed: int = 0, *, label: str | None = "1", **fields: str) -> bytes:
    """A line of 187 samples and a label; ``c5="x"`` replaces the fifth field."""
    values = [f"{value:.3f}" for value in np.random.default_rng(seed).random(187)] + ([] if label is None else [label])
    for column, text in fields.items():
        values[int(column[1:]) - 1] = text
    return ",".join(values).encode()


def recording(
    name: str = "r", *, leads: str = "I II V1", line: str = "16 1000 16 0 0 0 0", rate: str = str(FS), beat_hz: float = 1.1
) -> dict[str, bytes]:
    """A WFDB recording of 12 s: a header whose signal lines have this middle, and format 16 samples; each ``beat_hz`` is another record."""
    names = leads.split()
    times = np.arange(N_FRAMES) / FS
    wave = np.stack([300 * np.sin(2 * np.pi * (beat_hz + 0.1 * row) * times) for row in range(len(names))], axis=1)
    lines = "".join(f"{name}.dat {line} {lead}\n" for lead in names)
    return {f"{name}.hea": f"{name} {len(names)} {rate} {N_FRAMES}\n{lines}".encode(), f"{name}.dat": wave.astype("<i2").tobytes()}


@cache
def bomb(unit: bytes, n_bytes: int) -> bytes:
    """Gzip that unpacks to one unit again and again: one packed block, repeated."""
    block = unit * (1_000_000 // len(unit))
    packer, n_blocks, checksum = zlib.compressobj(9, wbits=-15), -(-n_bytes // len(block)), 0
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    for _ in range(n_blocks):
        checksum = zlib.crc32(block, checksum)
    end = b"\x03\0" + struct.pack("<II", checksum, n_blocks * len(block) % 2**32)
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + packed * n_blocks + end


def bombs() -> Iterator[tuple[str, bytes, Reason]]:
    """Name, content and code of files of less than 1.5 MB that would fill the memory."""
    yield "zeros.csv.gz", bomb(b"0", 1_000_000_000), _LARGE
    yield "line_ends.csv.gz", bomb(b"1\n", 250_000_000), _LARGE
    yield "commas.csv.gz", bomb(b",", 250_000_000), _WRONG
    yield "one_good_row.csv.gz", gzip.compress(beat() + b"\n") + bomb(b",", 250_000_000), _WRONG
    yield "labels.csv", gzip.compress(b"record,label\n") + bomb(b"a,0\n", 60_000_000), _LARGE
    yield "members.csv.gz", gzip.compress(b"1,") * 60_000, _WRONG
    yield "more_members.csv.gz", gzip.compress(b"1,") * 200_000, _LARGE
    yield "quotes.csv.gz", bomb(b'"",', 240_000_000), _WRONG
    yield "labels.csv", bomb(b",", 60_000_000), _LARGE
    yield "labels.csv", gzip.compress(b"record,label\n") + bomb(b"a,0\n", 1_000_000_000), _LARGE


def _beats_that_are_read() -> Iterator[Case]:
    two = beat(1) + b"\n" + beat(2) + b"\n"
    for name, data in {
        "byte order mark": BOM + two,
        "windows line ends": two.replace(b"\n", b"\r\n"),
        "old macintosh line ends": two.replace(b"\n", b"\r"),
        "no last line end": two.rstrip(),
        "blank lines": b"\n \n" + two.replace(b"\n", b"\n\n"),
        "column names": b",".join(b"s%d" % column for column in range(187)) + b",label\n" + two,
        "quoted column names": b",".join(b'"s%d"' % column for column in range(188)) + b"\n" + two,
        "blanks around numbers": two.replace(b",", b" , "),
        "exponents": b"1e-3," * 186 + b"2.5E-1\n" + two.partition(b"\n")[2],
        "semicolons": two.replace(b",", b";"),
        "semicolons and decimal commas": two.replace(b",", b";").replace(b".", b","),
        "tabs": two.replace(b",", b"\t"),
        "quoted numbers": b'"' + two.strip().replace(b",", b'","').replace(b"\n", b'"\n"') + b'"\n',
        "trailing commas": two.replace(b"\n", b",\n"),
        "utf-16": two.decode().encode("utf-16"),
        "utf-32": two.decode().encode("utf-32"),
        "classes of MIT-BIH": beat(1, label="0") + b"\n" + beat(2, label="4"),
        "no label": beat(3, label=None) + b"\n" + beat(4, label=None),
    }.items():
        yield Case(name=name, files={"beats.csv": data}, records=2)
    yield Case(name="gzip", files={"beats.csv.gz": gzip.compress(BOM + two.replace(b"\n", b"\r\n"))}, records=2)
    yield Case(name="gzip called csv", files={"beats.csv": gzip.compress(two)}, records=2)
    yield Case(name="gzip in members", files={"beats.csv.gz": gzip.compress(two[:500]) + gzip.compress(two[500:])}, records=2)
    yield Case(name="gzip with zeros behind it", files={"beats.csv.gz": gzip.compress(two) + bytes(512)}, records=2)
    yield Case(name="no extension", files={"beats": two}, records=2)
    yield Case(name="folder named like a file", files={"beats.csv/": b"", "beats.csv/beats.csv": two}, records=2)


def _beats_refused_whole() -> Iterator[Case]:
    two = beat(1) + b"\n" + beat(2) + b"\n"
    for name, data, code in (
        ("two numbers run together", two.replace(b",", b"", 1).splitlines()[0] + b"\n", Reason.NOT_NUMERIC),
        ("185 columns", b",".join(two.splitlines()[0].split(b",")[:185]), _WRONG),
        ("web page", b"<!DOCTYPE html>\n<html><body>404</body></html>\n", _WRONG),
        ("utf-16 cut within a letter", two.decode().encode("utf-16")[:-1], _UNREADABLE),
        ("utf-16 without mark", two.decode().encode("utf-16-be"), _UNREADABLE),
        ("words in every row", two.replace(b"0.", b"a.", 1).replace(b"\n0.", b"\na."), Reason.NOT_NUMERIC),
        ("millivolts in every row", two.replace(b",0.", b",5."), Reason.OUT_OF_RANGE),
        ("index in front", b"".join(b"%d,%s\n" % (row, beat(row, label=None)) for row in range(6)), _WRONG),
        ("index in front of a label", b"".join(b"%d,%s\n" % (row, beat(row)) for row in range(6)), _WRONG),
        ("index from a data frame", b"," + b",".join(b"%d" % column for column in range(187)) + b"\n0," + beat(1, label=None), _WRONG),
        ("label in front", b"".join(b"%d,1.0,%s\n" % (row % 2, beat(row, label=None).split(b",", 1)[1]) for row in range(6)), _WRONG),
        ("188 samples", b"".join(beat(row, label=f"0.{row}") + b"\n" for row in range(1, 6)), _WRONG),
        ("recording without its unit", b"I,II,V1\n" + b"-40.00,-575.00,12.50\n" * 500, Reason.UNIT_UNKNOWN),
        ("recording at one moment", b"'Elapsed time','MLII'\n'hh:mm:ss.mmm','mV'\n" + b"'0:00.000',-0.145\n" * 500, _UNREADABLE),
        ("cut off in the last row", two[:-200], Reason.INCOMPLETE),
        ("cut off before the label", two[:-3], Reason.INCOMPLETE),
        ("zero bytes", b"", _UNREADABLE),
        ("only a mark", BOM, _UNREADABLE),
        ("blanks only", b" \r\n\t\n", _UNREADABLE),
        ("all NUL", bytes(1000), _UNREADABLE),
        ("NUL behind good rows", two + b"\0", _UNREADABLE),
        ("spreadsheet", b"PK\3\4\x14\0\6\0" + bytes(200), _UNREADABLE),
        ("random bytes", np.random.default_rng(5).bytes(4096), _UNREADABLE),
        ("only column names", b",".join(b"s%d" % column for column in range(188)), _UNREADABLE),
    ):
        refused = {"beats.csv#1" if name == "two numbers run together" else "beats.csv": code}
        yield Case(name=name, files={"beats.csv": data}, refused=refused)
    packed = gzip.compress(two)
    wrong_sum = packed[:-8] + bytes(8)
    for name, data in {
        "truncated gzip": packed[:-9],
        "gzip without its sum": packed[:-8],
        "gzip with a wrong sum": wrong_sum,
        "gzip head only": packed[:10],
        "gzip magic only": packed[:2],
        "gzip in gzip": gzip.compress(packed),
        "gzip with a broken second member": packed + packed[:40],
    }.items():
        yield Case(name=name, files={"beats.csv.gz": data}, refused={"beats.csv.gz": _UNREADABLE})
    yield Case(name="decompression bomb", files={"beats.csv.gz": bomb(b"0", 300_000_000)}, refused={"beats.csv.gz": _LARGE})


def _beats_with_a_bad_row() -> Iterator[Case]:
    for name, row, code in (
        ("label 5", beat(label="5"), Reason.BAD_LABEL),
        ("label -1", beat(label="-1"), Reason.BAD_LABEL),
        ("label nan", beat(label="nan"), Reason.BAD_LABEL),
        ("empty label", beat(label=""), Reason.BAD_LABEL),
        ("a word", beat(c5="abc"), Reason.NOT_NUMERIC),
        ("empty field", beat(c5=""), Reason.NOT_NUMERIC),
        ("quoted number", beat(c5='"0.5"'), Reason.NOT_NUMERIC),
        ("underscore", beat(c5="0_1"), Reason.NOT_NUMERIC),
        ("hexadecimal", beat(c5="0x1"), Reason.NOT_NUMERIC),
        ("other digits", beat(c5="\N{ARABIC-INDIC DIGIT ONE}"), Reason.NOT_NUMERIC),
        ("formula", beat(c5="=1+1"), Reason.NOT_NUMERIC),
        ("not utf-8", beat().replace(b"0.", b"\xff\xfe", 1), Reason.NOT_NUMERIC),
        ("nan", beat(c5="nan"), Reason.NON_FINITE),
        ("infinite", beat(c5="-inf"), Reason.NON_FINITE),
        ("overflow", beat(c5="1e999"), Reason.NON_FINITE),
        ("millivolts", beat(c5="-0.35"), Reason.OUT_OF_RANGE),
        ("flat", b"0.5," * 187 + b"0", Reason.FLAT),
        ("one column more", beat() + b",1", _WRONG),
        ("a hundred thousand commas", b"," * 100_000, _WRONG),
        ("cut off", beat()[:300], _WRONG),
    ):
        data = beat(1) + b"\n" + row + b"\n" + beat(2)
        yield Case(name=f"row: {name}", files={"beats.csv": data}, refused={"beats.csv#2": code}, records=2)


def _unknown() -> Iterator[Case]:
    for name, data in {
        "photo.jpg": b"\xff\xd8\xff\xe0" + bytes(50),
        "report.pdf": b"%PDF-1.7\n",
        "recording.edf": b"0       X X X X",
        "model.pkl": b"\x80\4\x95\x0f\0\0\0\0\0\0\0\x8c\2os\x94.",
        "empty": b"",
        "labels.tsv": b"record\tlabel\nr\t1\n",
        "labels.xlsx": b"PK\3\4",
        "truth.csv.gz": gzip.compress(b"record,label\nr,1\n"),
        "reason.json": b'{"reason": "mine"}',
        "champion.json": b"{}",
        "r.hea.csv.bak": b"r 1 100 10\n",
    }.items():
        yield Case(name=f"unknown: {name}", files={name: data}, refused={name: Reason.UNKNOWN_FORMAT})


def _labels() -> Iterator[Case]:
    rates = count(1)

    def own() -> dict[str, bytes]:
        """A recording of its own for each table, since rows that contradict each other of one record are refused."""
        return recording(beat_hz=1.1 + next(rates) / 100)

    good = b"record,label\nr,abnormal\n"
    for name, data in {
        "plain": good,
        "byte order mark": BOM + good.replace(b"\n", b"\r\n"),
        "utf-16": good.decode().encode("utf-16"),
        "gzip": gzip.compress(good),
        "semicolons": good.replace(b",", b";"),
    }.items():
        yield Case(name=f"labels: {name}", files=own() | {"labels.csv": data}, records=1)
    for called in ("Labels.csv", "labels.csv.gz", "labels (1).csv", "LABELS - Copy.CSV"):
        yield Case(name=f"labels: called {called}", files=own() | {called: good}, records=1)
    for name, data, code in (
        ("latin-1", good + b"M\xfcller,1\n", _UNREADABLE),
        ("zero bytes", b"", _UNREADABLE),
        ("no label column", b"record\nr\n", _UNREADABLE),
        ("a column twice", b"record,label,label\nr,1,0\n", _UNREADABLE),
        ("open quote", good + b'"r,1\n', _UNREADABLE),
        ("truncated gzip", gzip.compress(good)[:-9], _UNREADABLE),
        ("a giant field", b"record,label\n" + b"x" * 200_000 + b",1\n", _UNREADABLE),
        ("too many columns", b"record,label" + b",x" * 999 + b"\n", _LARGE),
        ("too long a line", good + b"," * (1024 * 1024 + 1) + b"\n", _LARGE),
        ("too many rows", b"record,label\n" + b"r,1\n" * 250_001, _LARGE),
    ):
        yield Case(name=f"labels: {name}", files={"labels.csv": data}, refused={"labels.csv": code})
    for name, row, code in (
        ("out of range", b"r,7,,", Reason.BAD_LABEL),
        ("a word", b"r,healthy,,", Reason.BAD_LABEL),
        ("no record", b",1,,", Reason.BAD_LABEL),
        ("a stranger", b"nobody,1,,", Reason.BAD_LABEL),
        ("a path out of the folder", b"../../etc/passwd,1,,", Reason.BAD_LABEL),
        ("a field short", b"r,1,", _WRONG),
    ):
        files = own() | {"labels.csv": b"record,label,age,sex\n" + row + b"\nr,0,50,f\n"}
        yield Case(name=f"label row: {name}", files=files, refused={"labels.csv#2": code}, records=1)
    for age in (b"old", b"999", b"inf", b"-1", b"045Y", b"90+"):
        files = own() | {"labels.csv": b"record,label,age,sex\nr,1," + age + b",\n"}
        yield Case(name=f"label row: age {age.decode()}", files=files, records=1)


def _wfdb_that_is_read() -> Iterator[Case]:
    header = recording()["r.hea"]
    for name, files in {
        "plain": {},
        "byte order mark": {"r.hea": BOM + header},
        "windows line ends": {"r.hea": header.replace(b"\n", b"\r\n")},
        "comments in latin-1": {"r.hea": header + b"# M\xfcller\n"},
        "micro sign": recording(line="16 1/\N{MICRO SIGN}V 16 0 0 0 0"),
        "gain below zero": recording(line="16 -1000 16 0 0 0 0"),
        "a record named by a path": {"r.hea": header.replace(b"r 3", b"sub/r 3")},
        "a record named with an extension": {"r.hea": header.replace(b"r 3", b"r.mat 3")},
        "signals named by a path": {"r.hea": header.replace(b"r.dat", b"sub/r.dat")},
        "no rate": recording(rate="") | {"r.hea": b"r 3\n" + header.partition(b"\n")[2]},
        "leads twice": recording(leads="II II ii"),
        "flat chest lead": {"r.hea": header.replace(b"1000 16 0 0 0 0 V1", b"1e30 16 0 0 0 0 V1")},
        "pressure in mmHg": {"r.hea": header.replace(b"1000 16 0 0 0 0 V1", b"1000/mmHg 16 0 0 0 0 ABP")},
        "bytes behind the promised": {"r.dat": recording()["r.dat"] + b"rubbish"},
    }.items():
        if name == "no rate":  # 250 Hz is the specification's default, so it has to last longer
            files["r.dat"] = recording()["r.dat"] * 3
        yield Case(name=f"wfdb: {name}", files=recording() | files, records=1)
    slow = {"r.hea": _slow("x"), "r.dat": _slow_samples()}
    yield Case(name="wfdb: another signal two thousand times slower", files=slow, records=1)


def _slow(lead: str) -> bytes:
    """A header with lead II at 2,000 Hz and a signal at 1 Hz."""
    return f"r 2 1 12\nr.dat 16x2000 1000 16 0 0 0 0 II\nr.dat 16 1000 16 0 0 0 0 {lead}\n".encode()


def _slow_samples() -> bytes:
    return np.random.default_rng(6).integers(-500, 500, size=12 * 2001).astype("<i2").tobytes()


def _wfdb_pointing_elsewhere() -> Iterator[Case]:
    for name in ("../r.dat", "..", "/etc/passwd", "sub/../r.dat", "..\\r.dat", "C:r.dat", "http://x/r.dat", "s3://b/r.dat", "-", ".r.dat"):
        yield _header_case(f"names {name}", {b"r.dat": name.encode()}, _UNSAFE)
    yield _header_case("names a control character", {b"r.dat": b"r\x1b[2J.dat"}, _UNSAFE)
    yield _header_case("names a file with a letter beyond ASCII", {b"r.dat": b"\xc3\xa9r.dat"}, _UNSAFE)
    yield _header_case("names a file of 300 letters", {b"r.dat": b"r" * 300}, _UNSAFE)
    segments = {"m.hea": b"m/1 3 100 1200\n../r 1200\n"}
    yield Case(name="segment: points elsewhere", files=recording() | segments, refused={"m.hea": _UNSAFE}, records=1)
    thief = {"t.hea": b"t 1 100 1200\nr.hea 16 1000 16 0 0 0 0 II\n"}
    yield Case(name="wfdb: takes another header for its signals", files=recording() | thief, refused={"t.hea": _UNREADABLE}, records=1)
    thief = {"t.hea": b"t 1 100 1200\nbeats.csv 16 1000 16 0 0 0 0 II\n", "beats.csv": beat(1)}
    yield Case(name="wfdb: takes a table for its signals", files=thief, refused={"t.hea": _UNREADABLE}, records=1)
    folder = {"r.hea": recording()["r.hea"], "r.dat/": b""}
    yield Case(name="wfdb: signal file is a folder", files=folder, refused={"r.hea": Reason.INCOMPLETE})


def _wfdb_promising() -> Iterator[Case]:
    for name, changes, code in (
        ("a thousand million samples", {b"100 1200": b"100 1000000000"}, Reason.INCOMPLETE),
        ("more samples than there are atoms", {b"100 1200": b"100 " + b"9" * 100}, Reason.INCOMPLETE),
        ("a thousand million a frame", {b"r.dat 16 ": b"r.dat 16x1000000000 "}, Reason.INCOMPLETE),
        ("no sample a frame", {b"r.dat 16 ": b"r.dat 16x0 "}, _UNREADABLE),
        ("an offset beyond the end", {b"r.dat 16 ": b"r.dat 16+99999999999 "}, Reason.INCOMPLETE),
        ("a skew beyond the end", {b"r.dat 16 ": b"r.dat 16:99999 "}, Reason.TOO_SHORT),
        ("more signals than it has", {b"r 3 ": b"r 4 "}, _UNREADABLE),
        ("a wrong checksum", {b"1000 16 0 0 0 0 II": b"1000 16 0 0 1 0 II"}, Reason.CHECKSUM_MISMATCH),
        ("rate 0", {b"3 100 ": b"3 0 "}, Reason.OUT_OF_RANGE),
        ("rate of -100", {b"3 100 ": b"3 -100 "}, _UNREADABLE),
        ("rate 1e9", {b"3 100 ": b"3 1e9 "}, _UNREADABLE),
        ("rate of 400 digits", {b"3 100 ": b"3 " + b"9" * 400 + b" "}, Reason.OUT_OF_RANGE),
        ("rate 20", {b"3 100 ": b"3 20 "}, Reason.OUT_OF_RANGE),
        ("4 s", {b"3 100 ": b"3 300 "}, Reason.TOO_SHORT),
        ("compressed", {b"r.dat 16 ": b"r.dat 516 "}, _UNREADABLE),
        ("another compression", {b"r.dat 16 ": b"r.dat 317 "}, _UNREADABLE),
        ("no scale", {b"16 1000 16": b"16 0 16"}, Reason.UNIT_UNKNOWN),
        ("a baseline of 400 digits", {b" 1000 ": b" 1000(" + b"9" * 400 + b") "}, _UNREADABLE),
        ("a line of 5,000 characters", {b" II\n": b" II" + b"x" * 5000 + b"\n"}, _UNREADABLE),
        ("gain beyond all numbers", {b" 1000 ": b" 1e999 "}, Reason.FLAT),
        ("half a volt", {b" 1000 ": b" 0.5 "}, Reason.OUT_OF_RANGE),
        ("pressure for lead II", {b"1000 16 0 0 0 0 II": b"1000/mmHg 16 0 0 0 0 II"}, Reason.UNIT_UNKNOWN),
        ("no lead II", {b" II\n": b" X\n"}, Reason.MISSING_LEAD),
    ):
        yield _header_case(f"promises {name}", changes, code)
    for name, header, code in (
        ("zero bytes", b"", _UNREADABLE),
        ("only comments", b"# 69 M\n", _UNREADABLE),
        ("utf-16", recording()["r.hea"].decode().encode("utf-16"), _UNREADABLE),
        ("no signal", b"r 0 100 1200\n", _UNREADABLE),
        ("prose", b"Dear colleague, please find attached\n", _UNREADABLE),
        ("600 signals", b"r 600 100 10\n" + b"~ 16\n" * 600, _LARGE),
        ("a megabyte", b"#" * 1_000_000 + recording()["r.hea"], _LARGE),
    ):
        yield Case(name=f"header: {name}", files={"r.hea": header}, refused={"r.hea": code})
    good = recording()
    yield Case(name="wfdb: no signal file", files={"r.hea": good["r.hea"]}, refused={"r.hea": Reason.INCOMPLETE})
    yield Case(name="wfdb: no header", files={"r.dat": good["r.dat"]}, refused={"r.dat": Reason.INCOMPLETE})
    yield Case(name="wfdb: cut off", files=good | {"r.dat": good["r.dat"][:-1]}, refused={"r.hea": Reason.INCOMPLETE})
    yield Case(name="wfdb: empty signal file", files=good | {"r.dat": b""}, refused={"r.hea": Reason.INCOMPLETE})


def _wfdb_signals() -> Iterator[Case]:
    good = recording()
    flat = np.frombuffer(good["r.dat"], dtype="<i2").reshape(-1, 3).copy()
    flat[:, 1] = 5
    invalid = flat.copy()
    invalid[:, 1] = -(2**15)
    for name, samples, code in (("flat lead II", flat, Reason.FLAT), ("lead II not a number", invalid, Reason.NON_FINITE)):
        yield Case(name=f"wfdb: {name}", files=good | {"r.dat": samples.tobytes()}, refused={"r.hea": code})
    yield Case(
        name="wfdb: lead V1 two thousand times slower",
        files={"r.hea": _slow("V1"), "r.dat": _slow_samples()},
        refused={"r.hea": Reason.OUT_OF_RANGE},
    )
    many = "".join(f"r.dat 16 1000 16 0 0 0 0 x{number}\n" for number in range(511))
    wide = {"r.hea": f"r 512 1 1500\nr.dat 16x1000 1000 16 0 0 0 0 II\n{many}".encode(), "r.dat": bytes(1500 * 1511 * 2)}
    yield Case(name="wfdb: three gigabytes after resampling", files=wide, refused={"r.hea": _LARGE})


def _wfdb_segments() -> Iterator[Case]:
    good = recording("s")
    joined = good | {"m.hea": b"m/2 3 100 2400\ns 1200\ns 1200\n"}
    yield Case(name="segments: the same twice", files=joined, records=1)
    for name, files, refused in (
        ("itself", {"m.hea": b"m/1 3 100 1200\nm 1200\n"}, {"m.hea": _UNREADABLE}),
        ("one another", {"a.hea": b"a/1 3 100 9\nb 9\n", "b.hea": b"b/1 3 100 9\na 9\n"}, {"a.hea": _UNREADABLE, "b.hea": _UNREADABLE}),
        ("1,025 of them", good | {"m.hea": b"m/1025 3 100 1230000\n" + b"s 1200\n" * 1025}, {"m.hea": _LARGE}),
        ("a count of 10^9", good | {"m.hea": b"m/1000000000 3 100 1200\ns 1200\n"}, {"m.hea": _UNREADABLE}),
        ("a length of 10^12", good | {"m.hea": b"m/1 3 100 1000000000000\ns 1000000000000\n"}, {"m.hea": _LARGE}),
        ("another rate", good | {"m.hea": b"m/1 3 500 1200\ns 1200\n"}, {"m.hea": _UNREADABLE}),
        ("gaps only", {"m.hea": b"m/1 3 100 1200\n~ 1200\n"}, {"m.hea": Reason.MISSING_LEAD}),
        ("one that is not there", {"m.hea": b"m/1 3 100 1200\nnowhere 1200\n"}, {"m.hea": Reason.INCOMPLETE}),
    ):
        yield Case(name=f"segments: {name}", files=files, refused=refused, records=int("1,025" in name))


def _keys() -> Iterator[Case]:
    data = beat(7)
    for name in (
        "../beats.csv",
        "./beats.csv",
        "a/../../beats.csv",
        "..",
        "a//beats.csv",
        "a\\beats.csv",
        "line\nend.csv",
        "esc\x1b[2J.csv",
        "\N{RIGHT-TO-LEFT OVERRIDE}vsc.staeb.csv",
        "\N{ZERO WIDTH SPACE}beats.csv",
    ):
        yield Case(name=f"key: {name!r}", files={name: data}, refused={name: _UNSAFE})
    yield Case(name="key: labels", files={"a/../labels.csv": b"record,label\nr,1\n"}, refused={"a/../labels.csv": _UNSAFE})
    room = MAX_KEY_BYTES - len("inbox/000/")
    for name in ("x" * room, "x" * (room - 4) + ".csv", "\N{LATIN SMALL LETTER E WITH ACUTE}" * (room // 2), "d/" * (room // 2 - 1) + "x"):
        yield Case(name=f"key: {len(name.encode())} bytes from {name[:2]!r} to {name[-2:]!r}", files={name: data}, refused={name: _UNSAFE})
    yield Case(name="key: any letters", files={"Müller & Söhne #1 – 心電図 (copy).csv": data}, records=1)


def _header_case(name: str, changes: dict[bytes, bytes], code: Reason) -> Case:
    files = recording()
    for old, new in changes.items():
        assert old in files["r.hea"], old
        files["r.hea"] = files["r.hea"].replace(old, new)
    # the signal file is alone then, unless the header still names it
    alone = {"r.dat": Reason.INCOMPLETE} if b"r.dat" in changes or code is _UNSAFE else {}
    return Case(name=f"wfdb: {name}", files=files, refused={"r.hea": code} | alone)
