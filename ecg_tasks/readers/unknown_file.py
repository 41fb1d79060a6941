"""Here: what a file that no reader takes seems to be, for the sentence that refuses it. Not here: choosing a reader (``detection``)."""

_EXPORT = "export the recording as WFDB (.hea with .dat)"
_PICTURE = "a picture, which holds no signal"
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", f"a PDF: a picture of a recording, without its signal; {_EXPORT}"),
    (0, b"\x89PNG", _PICTURE),
    (0, b"\xff\xd8\xff", _PICTURE),
    (0, b"GIF8", _PICTURE),
    (0, b"II*\0", _PICTURE),
    (0, b"MM\0*", _PICTURE),
    (128, b"DICM", f"DICOM; {_EXPORT}"),
    (0, b"\xffBIOSEMI", f"BDF; {_EXPORT}"),
    (0, b"0       ", f"EDF; {_EXPORT}"),
    (0, b"ISHNE1.0", f"an ISHNE Holter recording; {_EXPORT}"),
    (16, b"SCPECG", f"SCP-ECG; {_EXPORT}"),
    (0, b"MATLAB 5.0", "a MATLAB file without a WFDB header that names it; drop both together"),
    (0, b"\x89HDF\r\n\x1a\n", f"HDF5; {_EXPORT}"),
    (0, b"\x93NUMPY", f"a NumPy array; {_EXPORT}"),
    (0, b"PAR1", "Parquet; save the table as CSV"),
    (0, b"\xd0\xcf\x11\xe0", "an old Excel or Office file; save the table as CSV"),
    (257, b"ustar", "a tar archive; unpack it and drop the files"),
    (0, b"BZh", "bzip2; unpack it, or use gzip"),
    (0, b"\xfd7zXZ\0", "xz; unpack it, or use gzip"),
    (0, b"\x28\xb5\x2f\xfd", "zstd; unpack it, or use gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and drop the files"),
    (0, b"Rar!", "a RAR archive; unpack it and drop the files"),
    *((0, b"\x80%c" % version, "a Python pickle, which is never opened") for version in range(2, 6)),
)
_ROOTS: tuple[tuple[bytes, str], ...] = (
    (b"<restingecgdata", f"Philips' XML; {_EXPORT}"),
    (b"<restingecg", f"GE MUSE's XML; {_EXPORT}"),
    (b"<annotatedecg", f"HL7 aECG; {_EXPORT}"),
    (b"<cardiologyxml", f"CardioSoft's XML; {_EXPORT}"),
    (b"<html", "a web page, perhaps an error's instead of the file that was asked for"),
    (b"<!doctype html", "a web page, perhaps an error's instead of the file that was asked for"),
)
_PRINTABLE_SHARE = 0.95


def kind_of(head: bytes) -> str | None:
    """Name the format that a file's first bytes belong to, and what to do instead; None where they tell nothing.

    Parameters
    ----------
    head : the first bytes, unpacked; a few hundred are enough

    Examples
    --------
    >>> kind_of(b"%PDF-1.7")
    'a PDF: a picture of a recording, without its signal; export the recording as WFDB (.hea with .dat)'
    >>> kind_of(b"0.5,0.5") is None
    True
    """
    if head.startswith(b"PK\3\4"):
        if b"[Content_Types].xml" in head or b"xl/" in head:
            return "an Excel or Office file; save the table as CSV"
        return "a ZIP archive; unpack it and drop the files"
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    text = head.lstrip()[:4096].lower()
    if not text.startswith(b"<"):
        return "JSON" if text.startswith((b"{", b"[")) else None
    return next((kind for root, kind in _ROOTS if root in text), "XML of a kind that is not known")


def sentence(name: str, head: bytes) -> str:
    """The sentence for a file that no reader takes, with what it seems to be."""
    if not head:
        return f"{name} is empty"
    kind = kind_of(head)
    if kind is None:
        kind = "text of another kind" if _is_text(head) else "nothing that is known here"
    return f"{name} is neither a heartbeat CSV nor a WFDB recording; it looks like {kind}"


def _is_text(head: bytes) -> bool:
    shown = sum(byte >= 0x20 or byte in b"\t\r\n" for byte in head)  # noqa: PLR2004 - ASCII's first printable byte
    return b"\0" not in head and shown >= _PRINTABLE_SHARE * len(head)
