"""Here: Philips' packing of waveforms, XLI: of each lead the second differences, packed by LZW. Not here: the XML around it.

The sierraecg package unpacks the same, in 25 times the time and without a bound on what a small file may unpack to; tests hold both
against one another.
"""

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason

_CODE_BITS = 10
_LAST_CODE = 2**_CODE_BITS - 2
"""The codes above it end the text; strings are added up to it."""
_BYTES = tuple(bytes([byte]) for byte in range(256))
_HEAD_BYTES = 8
_DELTA_BIAS = 64


def unpack_xli(packed: bytes, *, n_leads: int, n_samples: int, name: str) -> NDArray[np.int64]:
    """Unpack the leads; returns counts of shape (n_leads, n_samples).

    A lead is a head (length of what follows, int32; two bytes; first difference, int16) and LZW codes of ten bits, which give the high
    bytes of all values and then their low bytes. Some cardiographs write further channels behind the leads; nothing is known of them.

    Raises
    ------
    BadInputError
        ``incomplete`` with both counts where leads or samples are missing; ``unreadable``.
    """
    counts = np.zeros((max(n_leads, 1), n_samples), dtype=np.int64)
    at = 0
    for lead in range(n_leads):
        head = packed[at : at + _HEAD_BYTES]
        size = int.from_bytes(head[:4], "little", signed=True)
        codes = packed[at + _HEAD_BYTES : at + _HEAD_BYTES + max(size, 0)]
        if len(head) < _HEAD_BYTES or len(codes) < size:
            raise BadInputError(Reason.INCOMPLETE, f"{name}: {len(packed):,} bytes of waveforms contain {lead} complete leads of {n_leads}")
        values = unpack_lzw(codes, n_bytes=2 * n_samples, what=f"lead {lead + 1} of {n_leads}", name=name)
        joined = np.frombuffer(values, dtype=np.uint8).reshape(2, n_samples)
        stored = (joined[0].view(np.int8).astype(np.int64) << 8) | joined[1]
        counts[lead] = _summed(stored, int.from_bytes(head[6:], "little", signed=True))
        at += _HEAD_BYTES + size
    return counts


def packed_size(packed: bytes, *, n_leads: int) -> int:
    """Return how many bytes the leads have, given that all of them are there; what is behind them is of further channels."""
    at = 0
    for _ in range(n_leads):
        at += _HEAD_BYTES + int.from_bytes(packed[at : at + 4], "little", signed=True)
    return at


def unpack_lzw(codes: bytes, *, n_bytes: int, what: str, name: str) -> bytes:
    """Unpack LZW codes of ten bits, first bit first, to exactly ``n_bytes``, or one more: the last code may fill up a pair.

    Raises
    ------
    BadInputError
        ``incomplete`` with both counts; ``unreadable`` for a code that means nothing yet, or for more bytes.
    """
    packed = _codes(codes, len(codes) * 8 // _CODE_BITS)
    ends = packed > _LAST_CODE
    packed = packed[: np.argmax(ends)] if ends.any() else packed
    strings = list(_BYTES)
    n_growing = _LAST_CODE + 2 - len(strings)  # each code but the first adds a string, until there are all
    parts: list[bytes] = []
    previous = b""
    for code in packed[:n_growing].tolist():
        try:
            found = strings[code]
        except IndexError:
            if code > len(strings) or not previous:
                message = f"{name}: {what} is compressed wrongly, at sample {sum(map(len, parts)) // 2}"
                raise BadInputError(Reason.UNREADABLE, message) from None
            found = previous + previous[:1]
        parts.append(found)
        if previous:
            strings.append(previous + found[:1])
        previous = found
    rest = packed[n_growing:]
    length = sum(map(len, parts)) + (int(np.array(list(map(len, strings)))[rest].sum()) if rest.size else 0)
    if length > n_bytes:
        raise BadInputError(Reason.UNREADABLE, f"{name}: {what} unpacks to more than {n_bytes // 2:,} samples")
    if length < n_bytes:
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {what} unpacks to {length // 2:,} samples; it must have {n_bytes // 2}")
    return b"".join(parts + [strings[code] for code in rest.tolist()])


def _codes(packed: bytes, n_codes: int) -> NDArray[np.int64]:
    """Return the codes: five bytes are four codes."""
    five = np.frombuffer(packed.ljust(-(-len(packed) // 5) * 5, b"\0"), dtype=np.uint8).reshape(-1, 5).astype(np.uint64)
    bits = five @ (np.uint64(256) ** np.arange(4, -1, -1, dtype=np.uint64))
    shifts = np.array([30, 20, 10, 0], dtype=np.uint64)
    return ((bits[:, None] >> shifts) & np.uint64(2**_CODE_BITS - 1)).ravel()[:n_codes].astype(np.int64)


def _summed(stored: NDArray[np.int64], first: int) -> NDArray[np.int64]:
    """Sum second differences to samples: two samples as they are, then what each turns away from a straight line, and 64."""
    if stored.size < 3:  # noqa: PLR2004 - the first two stand as they are
        return stored
    turns = -np.concatenate([[first], stored[2:-1] - _DELTA_BIAS])
    slopes = np.cumsum(np.concatenate([[stored[1] - stored[0]], turns]))
    return np.cumsum(np.concatenate([stored[:1], slopes]))
