"""Here: NumPy's files, one array (NPY) or several (NPZ), never unpickled. Not here: what stands on an array's axes (``arrays``)."""

import io
import math
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import arrays
from ecg_tasks.readers.base import Acquisition, Companions, Reading
from ecg_tasks.readers.file_names import sidecars_of
from ecg_tasks.readers.sidecar import Described, described, with_sidecars

MAGIC = b"\x93NUMPY"
_ZIP = b"PK\3\4"
_NAME_AT, _NAME_LENGTH_AT = 30, 26
_MAX_MEMBERS = 64
_MAX_HEADER_BYTES = 10_000
_SMALL_VALUES = 4096
_MOST_DESCRIBING_BYTES = 256 * 1024
_ENCRYPTED = 0x1
_READING = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


@dataclass(frozen=True, kw_only=True)
class _NpyHeader:
    shape: tuple[int, ...]
    fortran: bool
    dtype: np.dtype[np.generic]

    @property
    def n_bytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize


class NumpyReader:
    """Arrays of signals as NumPy saves them."""

    name = "numpy"
    title = "a NumPy array"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - the first bytes tell it
        """Tell an NPY by its first bytes, and an NPZ by the name of the first file in the archive."""
        return head.startswith(MAGIC) or (head.startswith(_ZIP) and _first_member(head).endswith(b".npy"))

    def companions(self, name: str, data: bytes) -> Companions:  # noqa: ARG002 - few say all by themselves
        """Tell which sidecars may be there."""
        return Companions(optional=sidecars_of(name))

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read the array of signals; in an archive, arrays called ``fs``, ``unit`` or ``leads`` describe it, and a sidecar adds to that.

        Nothing in a header is trusted: its shape is held against the bytes that are there before memory is taken.

        Raises
        ------
        BadInputError
            ``unit_unknown`` with the line to write; ``incomplete`` with both counts; ``not_numeric``, ``too_large``, ``unreadable``.
        """
        data = next(iter(files.values()))
        array, description = (_of_archive if data.startswith(_ZIP) else _of_array)(data, name=name)
        found = described(description, files, name=name)
        kind = "NPZ" if data.startswith(_ZIP) else "NPY"
        return Reading(recordings=arrays.recordings(array, found, name=name, acquisition=Acquisition(source_format=kind)))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the array of signals again, in an archive with what else was read of it; other arrays and the names of all are left out."""
        data = next(iter(files.values()))
        stream = io.BytesIO()
        if data.startswith(_ZIP):
            array, description = _of_archive(data, name=name)
            np.savez_compressed(stream, **{arrays.SIGNALS: array, **arrays.said(description)})  # type: ignore[arg-type]  # any can be an array
        else:
            np.lib.format.write_array(stream, _of_array(data, name=name)[0], allow_pickle=False)
        return with_sidecars(stream.getvalue(), files)


def _of_array(data: bytes, *, name: str) -> tuple[NDArray[np.generic], Described]:
    stream = io.BytesIO(data)
    header = _header(stream, name=name)
    _check(header, name=name)
    start, there = stream.tell(), len(data) - stream.tell()
    _check_length(header, there, name=name)
    flat = np.frombuffer(data, dtype=header.dtype, count=math.prod(header.shape), offset=start)
    return _shaped(flat, header), Described()


def _of_archive(data: bytes, *, name: str) -> tuple[NDArray[np.generic], Described]:
    """Return an archive's array of signals, and what its others say; every member is unpacked within the bounds that its header gives."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _found_in(archive, name=name)
    except (BadInputError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - zipfile raises whatever its parsing runs into, all of it the file's doing
        sentence = f"{name}: the archive is damaged or cut off ({type(error).__name__}); upload it again"
        raise BadInputError(Reason.UNREADABLE, sentence) from None


def _found_in(archive: zipfile.ZipFile, *, name: str) -> tuple[NDArray[np.generic], Described]:
    members = {one.filename.removesuffix(".npy"): one for one in archive.infolist() if one.filename.endswith(".npy")}
    if len(archive.infolist()) > _MAX_MEMBERS:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {len(archive.infolist())} arrays; the limit is {_MAX_MEMBERS:,}")
    if any(one.flag_bits & _ENCRYPTED for one in members.values()):
        raise BadInputError(Reason.UNREADABLE, f"{name} is encrypted; save it without a password")
    if any(one.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} for one in members.values()):
        raise BadInputError(Reason.UNREADABLE, f"{name}: save it with numpy.savez or numpy.savez_compressed; other archives are not read")
    headers = {}
    for called, member in members.items():
        with archive.open(member) as stream:
            headers[called] = _header(stream, name=name)
    small = {
        called: _member(archive, members[called], name=name)
        for called, header in headers.items()
        if math.prod(header.shape) <= _SMALL_VALUES and header.n_bytes <= _MOST_DESCRIBING_BYTES and header.dtype.kind in "iufUS"
    }
    numbers = {called: header.shape for called, header in headers.items() if header.dtype.kind in "iuf"}
    if not numbers and headers:
        arrays.check_kind(next(iter(headers.values())).dtype, name=name)
    found = arrays.find(numbers, small, name=name)
    _check(headers[found.array], name=name)
    arrays.check_scale(found, headers[found.array].dtype, name=name)
    return _member(archive, members[found.array], name=name), found.description


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, *, name: str) -> NDArray[np.generic]:
    with archive.open(member) as stream:
        header = _header(stream, name=name)
        content = stream.read(header.n_bytes + 1)
    _check_length(header, len(content), name=name)
    return _shaped(np.frombuffer(content, dtype=header.dtype, count=math.prod(header.shape)), header)


def _header(stream: IO[bytes], *, name: str) -> _NpyHeader:
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = _READING[version](stream, max_header_size=_MAX_HEADER_BYTES)
    except Exception as error:  # noqa: BLE001 - a literal is parsed, which raises whatever Python's parser does
        sentence = f"{name}: the header of an array is damaged, or is not NPY 1.0 or 2.0 ({type(error).__name__})"
        raise BadInputError(Reason.UNREADABLE, sentence) from None
    if dtype.hasobject:
        raise BadInputError(Reason.NOT_NUMERIC, f"{name}: it contains Python objects, which are never unpickled; save an array of numbers")
    if any(length < 0 for length in shape):
        raise BadInputError(Reason.UNREADABLE, f"{name}: an axis has {min(shape)} elements")
    return _NpyHeader(shape=tuple(shape), fortran=bool(fortran), dtype=dtype)


def _check(header: _NpyHeader, *, name: str) -> None:
    arrays.check_kind(header.dtype, name=name)
    arrays.check_size(header.shape, name=name)


def _check_length(header: _NpyHeader, there: int, *, name: str) -> None:
    if there < header.n_bytes:
        raise BadInputError(
            Reason.INCOMPLETE, f"{name}: {there:,} bytes of samples are there; its header says {header.n_bytes:,}. Upload it again"
        )
    if there > header.n_bytes:
        raise BadInputError(Reason.UNREADABLE, f"{name}: it has more bytes than the {header.n_bytes:,} that its header gives")


def _shaped(flat: NDArray[np.generic], header: _NpyHeader) -> NDArray[np.generic]:
    return flat.reshape(header.shape, order="F" if header.fortran else "C")


def _first_member(head: bytes) -> bytes:
    length = int.from_bytes(head[_NAME_LENGTH_AT : _NAME_LENGTH_AT + 2], "little")
    return head[_NAME_AT : _NAME_AT + length]
