"""Here: MATLAB's files (levels 4 and 5) without a WFDB header: arrays of numbers. Not here: their axes (``arrays``), or WFDB's pairs.

SciPy reads the numbers. It believes every length in a file, so each is held here against the bytes that are there, what is compressed
is unpacked within bounds, and nothing but arrays of numbers and text is handed on: no cell, no object, no function.
"""

import io
import struct
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import arrays
from ecg_tasks.readers.base import Acquisition, Companions, Reading
from ecg_tasks.readers.file_names import sidecars_of
from ecg_tasks.readers.sidecar import Described, described, with_sidecars

_LEVEL_5, _LEVEL_7_3 = b"MATLAB 5.0 MAT-file", b"MATLAB 7.3 MAT-file"
_HEADER_5, _TEXT_5 = 128, 116
"""Bytes of the header, and of the text that it begins with."""
_HEADER_4 = struct.Struct("<5i")
_TAG = struct.Struct("<II")
_MATRIX, _COMPRESSED = 14, 15
_UINT32, _INT32, _INT8, _UINT8, _UTF8 = 6, 5, 1, 2, 16
_BYTES_OF = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8, 16: 1, 17: 2, 18: 4}
_CHAR, _DOUBLE, _UINT64 = 4, 6, 15
_COMPLEX, _LOGICAL = 0x08, 0x02
_PRECISIONS_4 = {0: 8, 1: 4, 2: 4, 3: 2, 4: 2, 5: 1}
_MAX_NAME_BYTES = 64
_MAX_VARIABLES = 64
_MAX_AXES = 8
_MAX_UNPACKED = 256 * 1024 * 1024
"""Bytes of all variables once they are unpacked."""
_SMALL_VALUES = 4096

_Shapes = dict[str, tuple[int, ...]]


class MatlabReader:
    """Arrays of signals as MATLAB and SciPy save them."""

    name = "matlab"
    title = "a MATLAB file"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - the first bytes tell it
        """Tell a file of level 5 by its text, and one of level 4 by a header that fits."""
        return head.startswith((_LEVEL_5, _LEVEL_7_3)) or _is_level_4(head)

    def companions(self, name: str, data: bytes) -> Companions:  # noqa: ARG002 - few say all by themselves
        """Tell which sidecars may be there."""
        return Companions(optional=sidecars_of(name))

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read the array of signals; variables called ``fs``, ``unit`` or ``leads`` describe it, and a sidecar adds to that.

        Raises
        ------
        BadInputError
            ``unit_unknown`` with the line to write; ``incomplete`` with both counts; ``unreadable``; ``too_large``; ``not_numeric``.
        """
        data = next(iter(files.values()))
        array, found = _found(data, name=name)
        description = described(found, files, name=name)
        acquisition = Acquisition(source_format=f"MATLAB {'5' if data.startswith(_LEVEL_5) else '4'}")
        return Reading(recordings=arrays.recordings(array, description, name=name, acquisition=acquisition))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the array of signals again, with what else was read of it; other variables and the names of all are left out."""
        import scipy.io

        data = next(iter(files.values()))
        array, description = _found(data, name=name)
        stream = io.BytesIO()
        is_5 = data.startswith(_LEVEL_5)
        content = {arrays.SIGNALS: array} | {key: np.array(value) for key, value in arrays.said(description).items()}
        scipy.io.savemat(stream, content, format="5" if is_5 else "4", do_compression=is_5)  # type: ignore[arg-type]  # a stream, too
        written = stream.getvalue()
        if is_5:  # SciPy tells there on which system and day it wrote
            written = _LEVEL_5.ljust(_TEXT_5) + written[_TEXT_5:]
        return with_sidecars(written, files)


def _found(data: bytes, *, name: str) -> tuple[NDArray[Any], Described]:
    """Return the array of signals, and what the others say of it."""
    if data.startswith(_LEVEL_7_3):
        sentence = f"{name} is a MATLAB 7.3 file; save it with save(…, '-v7'), or drop it as WFDB, whose header gives rate and unit"
        raise BadInputError(Reason.UNKNOWN_FORMAT, sentence)
    shapes, content = (_checked_5 if data.startswith(_LEVEL_5) else _checked_4)(data, name=name)
    small = [one for one, shape in shapes.items() if np.prod(shape, dtype=object) <= _SMALL_VALUES]
    loaded = _load(content, small, name=name)
    numbers = {one: shape for one, shape in shapes.items() if loaded.get(one, np.empty(0)).dtype.kind not in "US"}
    found = arrays.find(numbers, loaded, name=name)
    arrays.check_size(shapes[found.array], name=name)
    array = loaded[found.array] if found.array in loaded else _load(content, [found.array], name=name)[found.array]
    arrays.check_scale(found, array.dtype, name=name)
    return array, found.description


def _load(content: bytes, names: list[str], *, name: str) -> dict[str, NDArray[Any]]:
    import scipy.io  # 0.3 s

    if not names:
        return {}
    try:
        loaded = scipy.io.loadmat(io.BytesIO(content), variable_names=names)  # type: ignore[arg-type]  # a stream, too
    except Exception as error:  # noqa: BLE001 - SciPy raises whatever its parsing runs into, all of it the file's doing
        raise BadInputError(Reason.UNREADABLE, f"{name}: SciPy cannot read it ({type(error).__name__})") from None
    if not set(names) <= set(loaded):
        raise BadInputError(Reason.UNREADABLE, f"{name}: SciPy does not find all of its variables")
    return {one: np.asarray(loaded[one]) for one in names}


def _is_level_4(head: bytes) -> bool:
    """Return whether the first bytes are the header of a level 4 matrix of real numbers, with a name that MATLAB allows."""
    if len(head) < _HEADER_4.size + 2:
        return False
    kind, rows, columns, imaginary, length = _HEADER_4.unpack_from(head)
    called = head[_HEADER_4.size : _HEADER_4.size + length] if 2 <= length <= _MAX_NAME_BYTES else b""  # noqa: PLR2004 - a letter and NUL
    return (
        kind in {10 * code for code in _PRECISIONS_4}
        and rows > 0
        and columns > 0
        and imaginary == 0
        and called.endswith(b"\0")
        and called[:-1].decode("latin-1").isidentifier()
    )


def _checked_4(data: bytes, *, name: str) -> tuple[_Shapes, bytes]:
    """Return the shapes of the variables of a level 4 file, each of which is there whole."""
    shapes: _Shapes = {}
    at = 0
    while at < len(data):
        if len(data) - at < _HEADER_4.size:
            raise BadInputError(Reason.INCOMPLETE, f"{name}: the file ends within the header of a variable, after {len(data):,} bytes")
        kind, rows, columns, imaginary, length = _HEADER_4.unpack_from(data, at)
        real = kind in {10 * code + text for code in _PRECISIONS_4 for text in (0, 1)} and not imaginary
        if not real or min(rows, columns) < 0 or not 2 <= length <= _MAX_NAME_BYTES:  # noqa: PLR2004 - a letter and NUL
            raise BadInputError(Reason.UNREADABLE, f"{name}: variable {len(shapes) + 1} is not a little-endian array of real numbers")
        called = data[at + _HEADER_4.size :][:length].rstrip(b"\0").decode("latin-1")
        start, size = at + _HEADER_4.size + length, _PRECISIONS_4[kind // 10] * rows * columns
        if size > len(data) - start:
            there = max(0, len(data) - start)
            raise BadInputError(
                Reason.INCOMPLETE, f"{name}: {there:,} bytes of samples are there; its header says {size:,}. Upload it again"
            )
        _note(shapes, called, (rows, columns), name=name)
        at = start + size
    return shapes, data


def _checked_5(data: bytes, *, name: str) -> tuple[_Shapes, bytes]:
    """Return the shapes of the arrays of numbers and text in a level 5 file, and the file without anything else, unpacked."""
    if data[126:128] != b"IM":
        raise BadInputError(Reason.UNREADABLE, f"{name}: only little-endian MATLAB files are read")
    shapes: _Shapes = {}
    kept = [data[:_HEADER_5]]
    room = _MAX_UNPACKED
    at = _HEADER_5
    while at < len(data):
        if len(data) - at < _TAG.size:
            raise BadInputError(Reason.INCOMPLETE, f"{name}: the file ends within the tag of a variable, after {len(data):,} bytes")
        kind, length = _TAG.unpack_from(data, at)
        there = len(data) - at - _TAG.size
        if length > there:
            raise BadInputError(
                Reason.INCOMPLETE, f"{name}: {there:,} bytes of a variable are there; its tag says {length:,}. Upload it again"
            )
        element = data[at : at + _TAG.size + length]
        at += _TAG.size + length + (0 if kind == _COMPRESSED else -length % 8)
        if kind == _COMPRESSED:
            element = _unpacked(element[_TAG.size :], room=room, name=name)
        if _TAG.unpack_from(element)[0] != _MATRIX:
            continue
        room -= len(element)
        if room < 0:
            raise _too_large(name)
        found = _array_of(element[_TAG.size :], name=name)
        if found is not None:
            _note(shapes, *found, name=name)
            kept += [element, bytes(-len(element) % 8)]
    return shapes, b"".join(kept)


def _unpacked(packed: bytes, *, room: int, name: str) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        element = unpacker.decompress(packed, room + 1)
    except zlib.error:
        raise BadInputError(Reason.UNREADABLE, f"{name}: a compressed variable is damaged") from None
    if len(element) > room:
        raise _too_large(name)
    promised = _TAG.unpack_from(element)[1] if len(element) >= _TAG.size else 0
    if not unpacker.eof or len(element) < _TAG.size or len(element) - _TAG.size < promised:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: a variable unpacks to {len(element):,} bytes; its tag says {promised:,}")
    return element


def _array_of(body: bytes, *, name: str) -> tuple[str, tuple[int, ...]] | None:
    """Name and shape of an array of real numbers or text, all parts of which are there; None for anything else that MATLAB saves."""
    parts = list(_parts(body, name=name))
    if len(parts) < 3 or parts[0][0] != _UINT32 or len(parts[0][1]) != 8 or parts[1][0] != _INT32:  # noqa: PLR2004 - flags, axes, name
        return None
    flags = int.from_bytes(parts[0][1][:4], "little")
    kind = flags & 0xFF
    if not (kind == _CHAR or _DOUBLE <= kind <= _UINT64) or (flags >> 8) & (_COMPLEX | _LOGICAL):
        return None
    if len(parts) != 4 or parts[2][0] not in {_INT8, _UINT8, _UTF8} or len(parts[1][1]) > 4 * _MAX_AXES or len(parts[1][1]) % 4:  # noqa: PLR2004
        raise BadInputError(Reason.UNREADABLE, f"{name}: a variable is not an array of numbers")
    shape = tuple(np.frombuffer(parts[1][1], dtype="<i4").tolist())
    called = parts[2][1].rstrip(b"\0").decode("latin-1")
    stored, content = parts[3]
    if stored not in _BYTES_OF or min(shape, default=-1) < 0:
        raise BadInputError(Reason.UNREADABLE, f"{name}: a variable has an unknown type of numbers, or a negative axis")
    there, promised = len(content) // _BYTES_OF[stored], int(np.prod(shape, dtype=object))
    if kind != _CHAR and there < promised:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: a variable has {there:,} samples; its axes say {promised:,}")
    if kind != _CHAR and there > promised:
        raise BadInputError(Reason.UNREADABLE, f"{name}: a variable has {there:,} samples; its axes are {' × '.join(map(str, shape))}")
    return called, shape


def _parts(body: bytes, *, name: str) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of a matrix, as kind and content, up to five of them."""
    at = n_parts = 0
    while at + _TAG.size <= len(body) and n_parts <= 4:  # noqa: PLR2004 - flags, axes, name, numbers, and one that should not be there
        kind, length = _TAG.unpack_from(body, at)
        n_parts += 1
        if kind >> 16:  # a small part: two bytes of length, and the content in the same eight bytes
            kind, length = kind & 0xFFFF, kind >> 16
            if length > 4:  # noqa: PLR2004 - bytes that are left
                raise BadInputError(
                    Reason.UNREADABLE, f"{name}: a small element of a variable has {length:,} bytes; it can have four at most"
                )
            yield kind, body[at + 4 : at + 4 + length]
            at += _TAG.size
            continue
        there = len(body) - at - _TAG.size
        if length > there:
            raise BadInputError(Reason.INCOMPLETE, f"{name}: {there:,} bytes of an element are there; its tag says {length:,}")
        yield kind, body[at + _TAG.size : at + _TAG.size + length]
        at += _TAG.size + length + -length % 8


def _note(shapes: _Shapes, called: str, shape: tuple[int, ...], *, name: str) -> None:
    if called in shapes or len(shapes) == _MAX_VARIABLES:
        raise BadInputError(Reason.UNREADABLE, f"{name}: more than {_MAX_VARIABLES} variables, or two of one name")
    shapes[called] = shape


def _too_large(name: str) -> BadInputError:
    return BadInputError(Reason.TOO_LARGE, f"{name}: its variables unpack to more than {_MAX_UNPACKED:,} bytes; save only the signals")
