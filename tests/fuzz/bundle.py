"""Here: several named files as one string of bytes, so that a fuzzer can change any of them. Not here: what the files hold."""

import re

_START = re.compile(rb"^>>> ([^\n]*)\n", re.MULTILINE)


def pack(files: dict[str, bytes]) -> bytes:
    """Write every file after a line with its name.

    >>> unpack(pack({"a": b"1", "b": b""}))
    {'a': b'1', 'b': b''}
    """
    return b"".join(b">>> %s\n%s\n" % (name.encode(), data) for name, data in files.items())


def unpack(data: bytes) -> dict[str, bytes]:
    """Read the files back, names as UTF-8; bytes before the first name belong to none, and of two files with one name the later counts."""
    parts = _START.split(data)[1:]
    pairs = zip(parts[::2], parts[1::2], strict=True)
    return {name.decode(errors="replace"): content.removesuffix(b"\n") for name, content in pairs}
