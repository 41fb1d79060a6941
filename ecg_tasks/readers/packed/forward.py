"""Here: a stream that is read once, front to back, as a file that only goes forward. Not here: where its bytes come from."""

import io
from collections.abc import Iterator

from ecg_tasks.errors import BadInputError, Reason


class Forward(io.RawIOBase):
    """Bytes that come in pieces; memory holds one piece and what one call asks for.

    Parameters
    ----------
    name : of the archive, for sentences
    most : so many bytes may a header have; one that asks for more is a fault
    at : where the first byte stands
    """

    def __init__(self, pieces: Iterator[bytes], *, name: str, most: int, at: int = 0) -> None:
        self._pieces, self._name, self._most = pieces, name, most
        self._piece = memoryview(b"")
        self._at = at
        self.last = b""
        """What the last call of `read` gave."""

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: forward."""
        return True

    def tell(self) -> int:
        """Return where the next byte stands."""
        return self._at

    def seek(self, at: int, whence: int = io.SEEK_SET) -> int:
        """Pass over what comes before ``at``, or all that is left; returns where the next byte stands.

        Raises
        ------
        BadInputError
            ``unreadable`` for a way back: no whole archive asks for one.
        """
        if whence != io.SEEK_SET or at < self._at:
            raise BadInputError(Reason.UNREADABLE, f"{self._name} is damaged: a length in it points back to byte {at}")
        while self._at < at and self._fill():
            self._take(at - self._at)
        return self._at

    def read(self, n_bytes: int | None = -1, /) -> bytes:
        """Return so many bytes of a header; fewer at the end."""
        wanted = self._most + 1 if n_bytes is None or n_bytes < 0 else n_bytes
        if wanted > self._most:
            sentence = f"{self._name} is damaged: a header in it says that it has {n_bytes:,} bytes; the limit is {self._most:,}"
            raise BadInputError(Reason.TOO_LARGE, sentence)
        self.last = self.take(wanted)
        return self.last

    def take(self, n_bytes: int) -> bytes:
        """Return so many bytes, however many that are; fewer at the end."""
        parts: list[memoryview] = []
        left = n_bytes
        while left > 0 and self._fill():
            parts.append(self._take(left))
            left -= len(parts[-1])
        return b"".join(parts)

    def rest(self) -> Iterator[bytes]:
        """Yield all that is left, piece by piece."""
        while self._fill():
            yield bytes(self._take(len(self._piece)))

    def _fill(self) -> bool:
        while not self._piece:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self._piece = memoryview(piece)
        return True

    def _take(self, n_bytes: int) -> memoryview:
        part, self._piece = self._piece[:n_bytes], self._piece[n_bytes:]
        self._at += len(part)
        return part
