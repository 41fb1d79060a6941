"""Archives: what is in them is told whole or refused, and nothing that they say of themselves is believed."""

import gzip
import io
import stat
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import packed
from ecg_tasks.readers.packed import Contents, Extent, Limits, PackedMember, Packing

LIMITS = Limits(n_bytes=10**8, n_members=1000)
FILES = {"w/a.hea": b"a 1 100\n", "w/a.dat": bytes(range(256)) * 40, "w/empty.txt": b""}


class Held:
    """An archive in memory."""

    def __init__(self, data: bytes):
        self.data, self.size = data, len(data)

    def pieces(self):
        """All of it."""
        return (self.data[at : at + 5000] for at in range(0, self.size, 5000))

    def read_at(self, at, n_bytes):
        """A part of it."""
        return self.data[at : at + n_bytes]


def zipped(files=FILES, *, method=zipfile.ZIP_DEFLATED, **more) -> bytes:
    """A ZIP as Python writes it; ``files`` by name, or by a whole ``ZipInfo``."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method, **more) as archive:
        for name, data in files.items() if isinstance(files, dict) else files:
            archive.writestr(name, data)
    return out.getvalue()


def tarred(files=FILES, *, format=tarfile.PAX_FORMAT, infos=()) -> bytes:  # noqa: A002 - tarfile's name
    """A tar as Python writes it, with further members by their headers alone."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=format) as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
        for info in infos:
            archive.addfile(info)
    return out.getvalue()


def streamed_zip(files=FILES) -> bytes:
    """A ZIP written to a pipe: sizes stand behind the content."""

    class Pipe(io.RawIOBase):
        def __init__(self):
            self.parts = []

        def writable(self):
            return True

        def write(self, data):
            self.parts.append(bytes(data))
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return b"".join(pipe.parts)


def members(data: bytes, *, limits=LIMITS, head=0) -> list[PackedMember]:
    """The members of an archive, as ``packed.walk`` tells them."""
    packing = packed.packing_of(data[:65536])
    assert packing is not None
    return [member for member, _ in packed.walk(Held(data), packing, name="x.zip", limits=limits, wanted=lambda _: head)]


def contents(data: bytes) -> dict[str, bytes]:
    """Every member's bytes, taken out one by one."""
    packing = packed.packing_of(data[:65536])
    plain = gzip.decompress(data) if packing is Packing.TAR_GZ else data
    taken = Contents(io.BytesIO(plain), packing, [Extent(0, len(plain), 0)])
    return {member.path: taken.get(member) for member in members(data) if not member.path.endswith("/")}


def fault_of(data: bytes, **more) -> BadInputError:
    """Why an archive is refused, or one of its members."""
    try:
        members(data, **more)
        contents(data)
    except BadInputError as fault:
        return fault
    raise AssertionError("it was read as if nothing were wrong")


WRITTEN = {
    "deflated": zipped(),
    "stored": zipped(method=zipfile.ZIP_STORED),
    "streamed": streamed_zip(),
    "commented": zipped()[:-2] + b"\3\0abc",
    "behind a program": b"#!/bin/sh\n" + b"x" * 90 + zipped(),
    "tar": tarred(),
    "gnu": tarred(format=tarfile.GNU_FORMAT),
    "v7": tarred(format=tarfile.USTAR_FORMAT),
    "gzip": gzip.compress(tarred()),
    "two gzip members": gzip.compress(tarred()[:700]) + gzip.compress(tarred()[700:]) + bytes(100),
}


@pytest.mark.parametrize("way", [way for way in WRITTEN if way != "behind a program"])
def test_what_was_packed_comes_out(way):
    """Of every way of packing, with heads of members as they pass."""
    data = WRITTEN[way]
    assert contents(data) == FILES
    walked = packed.walk(Held(data), packed.packing_of(data), name="x", limits=LIMITS, wanted=lambda path: 5 * path.endswith("a.dat"))
    assert {member.path: head for member, head in walked} == dict.fromkeys(FILES, b"") | {"w/a.dat": FILES["w/a.dat"][:5]}


def test_a_zip64_is_read(monkeypatch):
    """Sizes in the longer fields, as beyond 4 GB; the number of members in the longer end, as beyond 65,535."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("a.dat", "w", force_zip64=True) as member:
        member.write(FILES["w/a.dat"])
    assert contents(out.getvalue()) == {"a.dat": FILES["w/a.dat"]}
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 2)
    data = zipped()
    assert b"PK\6\6" in data
    assert contents(data) == FILES


def test_long_names_and_folders():
    """Of a tar in extended headers; folders end with a slash, and ``./`` before a path is none of it."""
    long = "w/" + "n" * 300 + ".dat"
    folder = tarfile.TarInfo("./w/inner")
    folder.type = tarfile.DIRTYPE
    for layout in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        found = members(tarred({f"./{long}": b"12"}, format=layout, infos=[folder]))
        assert [(member.path, member.size) for member in found] == [(long, 2), ("w/inner/", 0)]


@pytest.mark.parametrize("way", ["deflated", "stored", "tar", "gnu", "gzip"])
def test_cut_off_anywhere_it_is_never_less(way):
    """At every byte of a small archive: refused, as a whole or in a member; an archive never has fewer members or bytes in silence."""
    data = {"deflated": zipped, "stored": lambda files: zipped(files, method=zipfile.ZIP_STORED), "tar": tarred}.get(
        way, lambda files: tarred(files, format=tarfile.GNU_FORMAT) if way == "gnu" else gzip.compress(tarred(files))
    )({"a.hea": b"a 1 100\n", "a.dat": bytes(range(200))})
    ends = range(len(data)) if len(data) < 2000 else sorted({*range(0, len(data), 64), *range(505, 520), *range(1020, 1040)})
    padding = len(data.rstrip(b"\0")) if way in {"tar", "gnu"} else len(data)
    for end in ends:
        cut = data[:end]
        if packed.packing_of(cut) is None:  # then it is no archive, and a file like any other
            assert end < 1100
            continue
        if end >= -(-padding // 512) * 512 + 512:  # only zeros behind the mark of the end are gone
            assert len(members(cut)) == 2
            continue
        fault = fault_of(cut)
        assert fault.reason in {Reason.INCOMPLETE, Reason.UNREADABLE}, (end, fault.message)


def test_a_tar_that_ends_after_a_member_is_incomplete():
    """Without the mark of its end nobody knows how many members there were."""
    assert fault_of(tarred()[: 512 + 512]).reason is Reason.INCOMPLETE
    assert "cut off" in fault_of(tarred()[: 2 * 512]).message
    assert "it has 100 of the 10,240 bytes of w/a.dat" in fault_of(tarred()[: 3 * 512 + 512 * 2 + 100 - 1024]).message


def test_two_tars_behind_each_other_are_refused():
    """A tar program would read the first alone."""
    assert "after the end" in fault_of(tarred() + tarred({"b": b"1"})).message
    assert fault_of(gzip.compress(tarred() + b"1")).reason is Reason.UNREADABLE


def test_damage_shows_by_checksums():
    """In the middle of a ZIP's member or of a gzip stream."""
    stored = bytearray(zipped(method=zipfile.ZIP_STORED))
    stored[stored.index(b"a 1 100")] ^= 1
    assert fault_of(bytes(stored)).reason is Reason.CHECKSUM_MISMATCH
    packed_tar = bytearray(gzip.compress(tarred({"a": np.random.default_rng(1).bytes(3000)})))
    packed_tar[-6] ^= 1
    assert fault_of(bytes(packed_tar)).reason is Reason.CHECKSUM_MISMATCH
    packed_tar[-6] ^= 1
    packed_tar[200] ^= 255
    assert fault_of(bytes(packed_tar)).reason in {Reason.UNREADABLE, Reason.CHECKSUM_MISMATCH}


def changed(data: bytes, name: bytes, at: int, layout: str, value: int) -> bytes:
    """A ZIP with one field of a member's entry in the directory changed."""
    entry = data.rindex(name) - 46
    assert data[entry : entry + 4] == b"PK\1\2"
    out = bytearray(data)
    struct.pack_into(layout, out, entry + at, value)
    return bytes(out)


@pytest.mark.parametrize(
    ("at", "layout", "value", "words"),
    [
        (8, "<H", 1, "encrypted"),
        (10, "<H", 9, "Deflate64"),
        (10, "<H", 14, "LZMA"),
        (10, "<H", 93, "Zstandard"),
        (10, "<H", 77, "method 77"),
        (24, "<L", 10**9, "too few for its 1,000,000,000 bytes"),
        (24, "<L", 10_000, "has more than the 10,000 bytes"),
        (24, "<L", 10_241, "10,240 of 10,241 bytes"),
        (16, "<L", 7, "do not match its checksum"),
        (38, "<L", (stat.S_IFLNK | 0o777) << 16, "symbolic link"),
    ],
)
def test_a_member_that_lies_is_refused_alone(at, layout, value, words):
    """The others of its ZIP are read."""
    data = changed(zipped(), b"w/a.dat", at, layout, value)
    found = {member.path: member for member in members(data, limits=Limits(n_bytes=2 * 10**9, n_members=9))}
    taken = Contents(io.BytesIO(data), Packing.ZIP, [Extent(0, len(data), 0)])
    with pytest.raises(BadInputError, match=words):
        taken.get(found["w/a.dat"])
    assert taken.get(found["w/a.hea"]) == FILES["w/a.hea"]


def test_members_that_share_bytes_are_a_bomb():
    """Two entries of the directory point to one member: so a small file would unpack to any size."""
    assert "overlap" in fault_of(changed(zipped(), b"w/a.dat", 42, "<L", 0)).message
    assert fault_of(changed(zipped(), b"w/a.dat", 42, "<L", 0xFFFFFF)).reason is Reason.UNREADABLE


def test_a_directory_that_places_members_before_the_start_is_refused():
    """Python's zipfile moves all offsets by what the end of the directory says; a request for byte -112 would fail a whole task."""
    data = bytearray(zipped())
    at = data.rindex(b"PK\5\6") + 16
    struct.pack_into("<L", data, at, struct.unpack_from("<L", data, at)[0] + 100)
    fault = fault_of(bytes(data))
    assert fault.reason is Reason.UNREADABLE
    assert "before the start" in fault.message


def test_another_name_beside_the_content_is_refused():
    """Programs differ in which of the two they believe."""
    data = zipped()
    assert "another name" in fault_of(data.replace(b"w/a.dat", b"w/b.dat", 1)).message


def test_a_directory_with_fewer_members_than_it_says():
    """With both counts."""
    data = bytearray(zipped())
    struct.pack_into("<H", data, len(data) - 22 + 10, 9)
    assert "should have 9 members, but has 3" in fault_of(bytes(data)).message


def test_bombs_end_at_the_bounds():
    """By members, by bytes that a directory promises, by what gzip unpacks to, and by gzip members without content."""
    few = Limits(n_bytes=10**6, n_members=2)
    assert "more than 2 members" in fault_of(zipped(), limits=few).message
    assert "more than 2 members" in fault_of(tarred(), limits=few).message
    small = Limits(n_bytes=10_000, n_members=10)
    for data in (zipped(), tarred(), gzip.compress(tarred())):
        assert fault_of(data, limits=small).reason is Reason.TOO_LARGE
    zeros = gzip.compress(tarred({"a": b"1"}) + bytes(2_000_000))
    assert fault_of(zeros, limits=Limits(n_bytes=1_000_000, n_members=10)).reason is Reason.TOO_LARGE
    assert "almost no content" in fault_of(gzip.compress(tarred({"a": b"1"})) + gzip.compress(b"") * 20_100).message


def test_a_directory_beyond_its_bound_is_not_read():
    """A ZIP's directory is held in memory, so what it takes is bounded before it is read."""
    names = {f"{number:04d}{'n' * 4000}": b"" for number in range(600)}
    assert "a directory of" in fault_of(zipped(names), limits=Limits(n_bytes=10**8, n_members=600)).message


def header(name: str, **what) -> bytes:
    """A tar header of one's own, with a right checksum."""
    info = tarfile.TarInfo(name)
    for key, value in what.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    "data",
    [
        header("a", size=-512) + bytes(1024),
        header("a", size=2**60) + bytes(1024),
        header("././@LongLink", type=tarfile.GNUTYPE_LONGNAME, size=2**40) + bytes(4096),
        header("x", type=tarfile.XHDTYPE, size=512) + b"9999999 path=a\n".ljust(512, b"\0") + bytes(1024),
        b"".join(header("x", type=tarfile.XHDTYPE, size=0) for _ in range(3000)) + bytes(1024),
        header("a", size=3) + b"123".ljust(512, b"\0") + b"no header".ljust(512, b"x") + bytes(1024),
    ],
    ids=["negative", "huge", "long name", "pax", "pax upon pax", "garbage"],
)
def test_absurd_headers_of_a_tar(data):
    """Each is refused, and nothing is held for it."""
    tracemalloc.start()
    try:
        assert fault_of(data).reason in {Reason.INCOMPLETE, Reason.UNREADABLE, Reason.TOO_LARGE}
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, b"Z"])
def test_what_is_no_file_is_refused_alone(kind):
    """Links, devices, pipes: each with a sentence, beside what is read."""
    info = tarfile.TarInfo("w/other")
    info.type, info.linkname = kind, "/etc/passwd"
    found = {member.path: member for member in members(tarred(infos=[info]))}
    if kind != b"Z":  # of an unknown kind tarfile makes a file
        assert "pack the file itself" in found["w/other"].fault.message
    assert found["w/a.dat"].fault is None


def test_memory_holds_the_largest_member_and_not_the_archive(tmp_path):
    """Ten times as many members take the same memory but for what is known of each."""
    peaks = {}
    noise = np.random.default_rng(3).bytes(100_000)
    for n in (40, 400):
        path = tmp_path / f"{n}.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
            for number in range(n):
                archive.writestr(f"{number}.dat", noise)

        class File:
            size = path.stat().st_size

            def pieces(self):
                with path.open("rb") as file:  # noqa: B023 - used within the loop
                    yield from iter(lambda: file.read(1 << 20), b"")

            def read_at(self, at, n_bytes):
                with path.open("rb") as file:  # noqa: B023
                    file.seek(at)
                    return file.read(n_bytes)

        tracemalloc.start()
        try:
            with path.open("rb") as file:
                taken = Contents(file, Packing.ZIP, [Extent(0, File.size, 0)])
                for member, head in packed.walk(File(), Packing.ZIP, name="x", limits=LIMITS, wanted=lambda _: 1000):
                    assert len(head) == 1000
                    assert zlib.crc32(taken.get(member)) == member.crc
            peaks[n] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peaks[400] < peaks[40] + 2_000_000, peaks


@pytest.mark.parametrize(
    ("first", "packing"),
    [
        ("ptbxl/00001.hea", Packing.ZIP),
        ("password/a.csv", Packing.ZIP),
        ("a/[Content_Types].xml", Packing.ZIP),
        ("[Content_Types].xml", None),
        ("xl/workbook.xml", None),
        ("word/document.xml", None),
    ],
)
def test_a_folder_whose_name_ends_like_one_of_an_office_file_is_no_office_file(first, packing):
    """The name of the first member decides from its beginning on: PTB-XL lies in `ptbxl/`."""
    packed_up = io.BytesIO()
    with zipfile.ZipFile(packed_up, "w") as archive:
        archive.writestr(first, b"x")
    assert packed.packing_of(packed_up.getvalue()) is packing
