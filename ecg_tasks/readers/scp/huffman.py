"""Here: the Huffman codes of SCP-ECG, and samples from their differences. Not here: the sections of a file (``record``).

References
----------
EN 1064:2020 (ISO 11073-91064), section 2 and annex C.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason

DEFAULT_TABLE = 19999
"""In place of the number of tables: the standard's own."""
_WINDOW_BITS = 16
"""The longest prefix that is read; the standard's own table has ten bits."""
_MAX_VALUE_BITS = 16
_ENTRY_BYTES = 9
_BEHIND = 64
"""Bits behind the end of a lead that may be looked at: a code of prefix and value that begins there."""
_MAX_TABLES = 8
_LENGTH = 0xFF


@dataclass(frozen=True, kw_only=True, eq=False)
class HuffmanTable:
    """What each of the 2**16 next bits mean, all of shape (65536,).

    Parameters
    ----------
    n_bits : of prefix and value together; 0 where no code begins so
    prefix_bits : of the prefix alone
    base : the value, to which that of the bits behind the prefix is added
    switch : the table that is used from here on, counted from 1; 0 where the code is a value
    """

    n_bits: NDArray[np.uint8]
    prefix_bits: NDArray[np.uint8]
    base: NDArray[np.int32]
    switch: NDArray[np.uint16]


@dataclass(frozen=True, kw_only=True)
class _Code:
    prefix: int
    prefix_bits: int
    n_bits: int
    base: int
    switch: int = 0


@cache
def default_table() -> HuffmanTable:
    """Return the standard's table: 0; 1 to 8 with their signs; and 8 or 16 bits as they are behind nine and ten bits."""
    codes = [_Code(prefix=0, prefix_bits=1, n_bits=1, base=0)]
    for size in range(1, 9):
        for sign, base in ((0, size), (1, -size)):
            codes.append(_Code(prefix=(2**size - 1) << 2 | sign, prefix_bits=size + 2, n_bits=size + 2, base=base))
    codes += [_Code(prefix=2**10 - 2 + wide, prefix_bits=10, n_bits=18 + 8 * wide, base=0) for wide in (0, 1)]
    return _table(codes)


def read_tables(section: bytes, *, name: str) -> tuple[HuffmanTable, ...]:
    """Read the tables of section 2.

    Raises
    ------
    BadInputError
        ``incomplete`` where they are cut off; ``unreadable`` for codes that cannot be distinguished or are longer than 16 bits.
    """
    n_tables = int.from_bytes(section[:2], "little")
    if len(section) >= 2 and n_tables == DEFAULT_TABLE:  # noqa: PLR2004 - a number of two bytes
        return (default_table(),)
    if not 0 < n_tables <= _MAX_TABLES:
        raise BadInputError(Reason.UNREADABLE, f"{name}: section 2 has {n_tables} Huffman tables; it must have 1 to {_MAX_TABLES}")
    tables = []
    at = 2
    for number in range(1, n_tables + 1):
        n_codes = int.from_bytes(section[at : at + 2], "little")
        there = (len(section) - at - 2) // _ENTRY_BYTES
        if there < n_codes or not n_codes:
            raise BadInputError(
                Reason.INCOMPLETE, f"{name}: Huffman table {number} has {max(there, 0)} codes; it says that it has {n_codes}"
            )
        at += 2
        codes = []
        for _ in range(n_codes):
            codes.append(_code(section[at : at + _ENTRY_BYTES], n_tables=n_tables, name=name))
            at += _ENTRY_BYTES
        tables.append(_table(codes, name=name))
    return tuple(tables)


def size_of_tables(section: bytes) -> int:
    """Return how many bytes of section 2 its tables take, given that all of them are there."""
    n_tables = int.from_bytes(section[:2], "little")
    at = 2
    for _ in range(0 if n_tables == DEFAULT_TABLE else n_tables):
        at += 2 + _ENTRY_BYTES * int.from_bytes(section[at : at + 2], "little")
    return at


def decode(packed: bytes, tables: Sequence[HuffmanTable], *, n_samples: int, what: str, name: str) -> NDArray[np.int64]:
    """Decode exactly ``n_samples`` values, first bit first, beginning with the first table.

    Raises
    ------
    BadInputError
        ``incomplete`` with both counts; ``unreadable`` for bits that are no code.
    """
    return _decoded(packed, tables, n_samples=n_samples, what=what, name=name)[0]


def size_of_codes(packed: bytes, tables: Sequence[HuffmanTable], *, n_samples: int, what: str, name: str) -> int:
    """Return how many bytes the codes of ``n_samples`` values take; see `decode`."""
    return -(-_decoded(packed, tables, n_samples=n_samples, what=what, name=name)[1] // 8)


def _decoded(packed: bytes, tables: Sequence[HuffmanTable], *, n_samples: int, what: str, name: str) -> tuple[NDArray[np.int64], int]:
    """Return the values, and how many bits their codes take."""
    windows, words = _windows(packed)
    n_bits = 8 * len(packed)
    wanted = min(n_samples, n_bits + 1)  # a code has a bit at least
    if len(tables) == 1:
        starts = _walk(np.take(tables[0].n_bits, windows), n_bits=n_bits, n_codes=wanted)
        found, lengths = _values(tables[0], starts, windows=windows, words=words)
    else:
        starts, used = _walk_switching(windows, tables, n_bits=n_bits, n_codes=wanted)
        of_each = np.stack([np.stack(_values(table, starts, windows=windows, words=words)) for table in tables])
        found, lengths = of_each[used, :, np.arange(wanted)].T
    inside = starts < n_bits
    nothing = inside & (lengths == 0)
    there = int(np.argmin(inside & (lengths > 0) & (starts + lengths <= n_bits))) if wanted else 0
    if nothing.any() and int(np.argmax(nothing)) == there:
        raise BadInputError(Reason.UNREADABLE, f"{name}: {what} has bits that are not a Huffman code, at sample {there}")
    if wanted < n_samples or not (inside.all() and starts[-1] + lengths[-1] <= n_bits):
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {what} ends after {there:,} samples; section 3 says {n_samples:,}")
    return found, int(starts[-1] + lengths[-1])


def summed(values: NDArray[np.int64], *, order: int) -> NDArray[np.int64]:
    """Sum first or second differences to samples of 16 bits; the first sample, or the first two, stand as they are.

    >>> summed(np.array([5, 7, 1, 0]), order=2).tolist()
    [5, 7, 10, 13]
    """
    if order == 1:
        values = np.cumsum(values)
    elif order and values.size > order:
        slopes = np.cumsum(np.concatenate([[values[1] - values[0]], values[2:]]))
        values = np.cumsum(np.concatenate([values[:1], slopes]))
    return values.astype(np.int16).astype(np.int64) if order else values


def _windows(packed: bytes) -> tuple[NDArray[np.uint16], NDArray[np.uint32]]:
    """Return the sixteen bits from each bit on, and the thirty-two from each byte on; zeros stand behind the end."""
    padded = np.frombuffer(packed + bytes(_BEHIND // 8 + 3), dtype=np.uint8).astype(np.uint32)
    words = ((padded[:-3] << 24) | (padded[1:-2] << 16) | (padded[2:-1] << 8) | padded[3:]).astype(np.uint32, copy=False)
    windows = np.empty((words.size, 8), dtype=np.uint16)
    for shift in range(8):
        windows[:, shift] = words >> (16 - shift)
    return windows.ravel(), words


def _walk(lengths: NDArray[np.uint8], *, n_bits: int, n_codes: int) -> NDArray[np.int64]:
    """Return where codes begin, given the length of the code at each bit; the walk never leaves what is no code, nor the end."""
    lengths[n_bits:] = 0
    jumps = lengths.tobytes()
    at = 0
    return np.array([0, *[at := at + jumps[at] for _ in range(n_codes - 1)]], dtype=np.int64)


def _walk_switching(
    windows: NDArray[np.uint16], tables: Sequence[HuffmanTable], *, n_bits: int, n_codes: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the codes begin that are values, and of which table each is."""
    steps = [np.where(table.switch > 0, table.prefix_bits, table.n_bits) | (table.switch << 8) for table in tables]
    views: dict[int, memoryview] = {}
    starts: list[int] = []
    used: list[int] = []
    at = table = 0
    while len(starts) < n_codes:
        if table not in views:
            views[table] = memoryview(steps[table][windows])
        step = views[table][at]
        if step > _LENGTH and at < n_bits:
            at, table = at + (step & _LENGTH), (step >> 8) - 1
            continue
        starts.append(at)
        used.append(table)
        if at < n_bits:
            at += step & _LENGTH
    return np.array(starts, dtype=np.int64), np.array(used, dtype=np.int64)


def _values(
    table: HuffmanTable, starts: NDArray[np.int64], *, windows: NDArray[np.uint16], words: NDArray[np.uint32]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the values of the codes that begin at these bits, and their lengths in bits."""
    begun = windows.take(starts).astype(np.intp)
    found = table.base.take(begun).astype(np.int64)
    lengths = table.n_bits.take(begun).astype(np.int64)
    prefixes = table.prefix_bits.take(begun)
    at = np.flatnonzero(lengths > prefixes)
    if at.size:
        bits = lengths[at] - prefixes[at]
        begin = starts[at] + prefixes[at]
        raw = (words.take(begin >> 3).astype(np.int64) >> (32 - (begin & 7) - bits)) & ((1 << bits) - 1)
        found[at] += np.where(raw >> (bits - 1) > 0, raw - (1 << bits), raw)
    return found, lengths


def _code(entry: bytes, *, n_tables: int, name: str) -> _Code:
    prefix_bits, n_bits, is_value = entry[:3]
    value = int.from_bytes(entry[3:5], "little", signed=True)
    stored = int.from_bytes(entry[5:9], "little")
    sound = 0 < prefix_bits <= _WINDOW_BITS and 0 <= n_bits - prefix_bits <= _MAX_VALUE_BITS
    if not sound or (not is_value and not 0 < value <= n_tables):
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: section 2 has a Huffman code of {prefix_bits} and {n_bits} bits that cannot be read"
        )
    prefix = int(f"{stored & (2**prefix_bits - 1):0{prefix_bits}b}"[::-1], 2)  # its first bit is the lowest one
    return _Code(prefix=prefix, prefix_bits=prefix_bits, n_bits=n_bits, base=value if is_value else 0, switch=0 if is_value else value)


def _table(codes: Sequence[_Code], *, name: str = "") -> HuffmanTable:
    size = 2**_WINDOW_BITS
    table = HuffmanTable(
        n_bits=np.zeros(size, dtype=np.uint8),
        prefix_bits=np.zeros(size, dtype=np.uint8),
        base=np.zeros(size, dtype=np.int32),
        switch=np.zeros(size, dtype=np.uint16),
    )
    for code in codes:
        rest = _WINDOW_BITS - code.prefix_bits
        meant = slice(code.prefix << rest, (code.prefix + 1) << rest)
        if table.prefix_bits[meant].any():
            raise BadInputError(Reason.UNREADABLE, f"{name}: section 2 has a Huffman code that is the beginning of another one")
        table.n_bits[meant], table.prefix_bits[meant] = code.n_bits, code.prefix_bits
        table.base[meant], table.switch[meant] = code.base, code.switch
    return table
