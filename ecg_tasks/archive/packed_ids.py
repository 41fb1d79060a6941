"""Here: ids of records in 16 bytes each, for what must know millions of them. Not here: what an id is made of (``signals.record``)."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

N_BYTES = 16
_DIGITS = np.zeros(256, np.uint8)
_DIGITS[np.frombuffer(b"0123456789abcdef", np.uint8)] = np.arange(16)


def is_id(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Tell which texts are 32 lower-case hex digits."""
    return pc.fill_null(pc.match_substring_regex(texts, pattern="^[0-9a-f]{32}$"), fill_value=False)


def packed(ids: pa.ChunkedArray) -> NDArray[np.bytes_]:
    """Return ids as their bytes, shape (n,), which have the order of the texts.

    Raises
    ------
    ValueError
        If one is not 32 lower-case hex digits; the message names it.

    Examples
    --------
    >>> packed(pa.chunked_array([["00" * 15 + "0f"]])).view(np.uint8)[-2:]
    array([ 0, 15], dtype=uint8)
    """
    fits = is_id(ids)
    if not pc.all(fits, min_count=0).as_py():
        raise ValueError(f"record_id is {ids.filter(pc.invert(fits))[0].as_py()!r}; it must be 32 lower-case hex digits")
    texts = ids.combine_chunks()
    if not len(texts):
        return np.empty(0, f"S{N_BYTES}")
    _, places, characters = texts.buffers()
    start = int(np.frombuffer(places, np.int32)[texts.offset])
    digits = _DIGITS[np.frombuffer(characters, np.uint8, 2 * N_BYTES * len(texts), start)].reshape(-1, 2)
    return (digits[:, 0] << 4 | digits[:, 1]).view(f"S{N_BYTES}")


def unpacked(ids: NDArray[np.bytes_]) -> list[str]:
    """Return the texts of packed ids.

    >>> unpacked(packed(pa.chunked_array([["0a" * 15 + "00"]]))) == ["0a" * 15 + "00"]
    True
    """
    digits = ids.tobytes().hex()
    return [digits[start : start + 2 * N_BYTES] for start in range(0, len(digits), 2 * N_BYTES)]
