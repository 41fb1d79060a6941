"""Here: what a file that no reader takes seems to be, for the sentence that refuses it. Not here: choosing a reader (``readers``)."""

from types import MappingProxyType

from ecg_tasks.readers.xml_formats.text import root_name

_EXPORT = "export the recording as SCP-ECG, HL7 aECG or WFDB (.hea with .dat)"
_UNPACK = "unpack it and drop the file"
"""For formats that are read, in a file that is packed: as they are, their readers know them."""
_ARCHIVE = "drop it alone, not inside another archive, under a name that ends with"
_PICTURE = f"a picture, which has no signal; {_EXPORT}"
_LEAD_I = "only lead I; lead II is needed, or two other limb leads"
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"%PDF", f"a PDF: a picture of a recording, without its signal; {_EXPORT}"),
    (0, b"\x89PNG", _PICTURE),
    (0, b"\xff\xd8\xff", _PICTURE),
    (0, b"GIF8", _PICTURE),
    (0, b"II*\0", _PICTURE),
    (0, b"MM\0*", _PICTURE),
    (4, b"ftyphei", _PICTURE),
    (8, b"WEBP", _PICTURE),
    (128, b"DICM", f"DICOM; {_UNPACK}"),
    (0, b"\xffBIOSEMI", f"BDF; {_UNPACK}"),
    (0, b"0       ", f"EDF; {_UNPACK}"),
    (0, b"@ MFR ", f"MFER, the format of devices by Nihon Kohden and Fukuda Denshi; {_EXPORT}"),
    (0, b"ALIVE\0", f"a Kardia recording (AliveCor), usually with {_LEAD_I}"),
    (0, b"MATLAB 5.0", f"a MATLAB file; {_UNPACK}"),
    (0, b"\x89HDF\r\n\x1a\n", f"HDF5; {_UNPACK}"),
    (0, b"\x93NUMPY", f"a NumPy array; {_UNPACK}"),
    (0, b"PAR1", f"Parquet; {_UNPACK}"),
    (0, b"{\\rtf", f"a text document, which has no signal; {_EXPORT}"),
    (0, b"\xd0\xcf\x11\xe0", "an old Excel, Word or Office file; save a table as CSV"),
    (257, b"ustar", f"a tar archive; {_ARCHIVE} .tar, or .tar.gz if it is compressed with gzip"),
    (0, b"BZh", "bzip2; unpack it, or use gzip"),
    (0, b"\xfd7zXZ\0", "xz; unpack it, or use gzip"),
    (0, b"\x28\xb5\x2f\xfd", "zstd; unpack it, or use gzip"),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive; unpack it and drop the files"),
    (0, b"Rar!", "a RAR archive; unpack it and drop the files"),
    *((0, b"\x80%c" % version, "a Python pickle, which is never opened") for version in range(2, 6)),
)
_WEB_PAGE = "a web page, perhaps an error page instead of the file"
_FHIR = f"a FHIR resource; {_EXPORT}"
_ROOTS = MappingProxyType(
    {
        "ecg": f"Mortara's XML (ELI, Welch Allyn); {_EXPORT}",
        "examdescript": f"Schiller's XML; {_EXPORT}",
        "healthdata": f"an export of Apple Health, whose ECGs have {_LEAD_I}",
        "observation": _FHIR,
        "bundle": _FHIR,
        "svg": _PICTURE,
        "html": _WEB_PAGE,
    }
    | dict.fromkeys(("restingecg", "annotatedecg", "restingecgdata", "cardiologyxml"), f"an ECG as XML; {_UNPACK}")
)
"""By the name of the root."""
_WORDS: tuple[tuple[bytes, str], ...] = (
    (b"apple watch", f"an ECG of an Apple Watch, with {_LEAD_I}"),
    (b"withings", f"an ECG of a Withings watch, with {_LEAD_I}"),
    (b"valuesampleddata", _FHIR),
    (b'"resourcetype"', _FHIR),
    (b'"recordedat"', f"a Kardia recording (AliveCor), usually with {_LEAD_I}"),
)
_BIOPAC_VERSIONS = frozenset({*range(30, 46), 61, 68, 76, 78, 80, 83, 84, 108, 121, 124, 128, 132})
_BIOPAC_HEADER_BYTES = range(100, 65_536)
"""BIOPAC's files have no mark: a version and the length of their header stand in their first bytes."""
_PRINTABLE_SHARE = 0.95


def kind_of(head: bytes) -> str | None:
    """Name the format that a file's first bytes belong to, and what to do instead; None where they tell nothing.

    Parameters
    ----------
    head : the first bytes, unpacked; a few hundred are enough

    Examples
    --------
    >>> kind_of(b"%PDF-1.7")
    'a PDF: a picture of a recording, without its signal; export the recording as SCP-ECG, HL7 aECG or WFDB (.hea with .dat)'
    >>> kind_of(b"0.5,0.5") is None
    True
    """
    if head.startswith(b"PK\3\4"):
        return _zipped(head)
    for at, magic, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    if _is_biopac(head):
        return f"a BIOPAC (AcqKnowledge) recording; {_EXPORT}"
    text = head.lstrip()[:4096].lower()
    root = root_name(head) or "html" * text.startswith(b"<!doctype html")
    if root or text.startswith(b"<"):
        return _ROOTS.get(root, "an unknown kind of XML")
    said = next((kind for words, kind in _WORDS if words in text), None)
    return said or ("JSON" if text.startswith((b"{", b"[")) else None)


def sentence(name: str, head: bytes) -> str:
    """Return the sentence for a file that no reader takes, with what it seems to be."""
    if not head:
        return f"{name} is empty"
    kind = kind_of(head)
    if kind is None:
        kind = "some other text" if is_text(head) else "an unknown kind of file"
    return f"{name} is in a format that is not supported; it looks like {kind}"


def _zipped(head: bytes) -> str:
    if b"word/" in head:
        return f"a Word document, which has no signal; {_EXPORT}"
    if b"[Content_Types].xml" in head or b"xl/" in head:
        return "an Excel or Office file; save the table as CSV"
    return f"a ZIP archive; {_ARCHIVE} .zip"


def _is_biopac(head: bytes) -> bool:
    version, size = int.from_bytes(head[2:6], "little"), int.from_bytes(head[6:10], "little")
    return head[:1] != b"" and version in _BIOPAC_VERSIONS and size in _BIOPAC_HEADER_BYTES


def is_text(head: bytes) -> bool:
    """Return whether bytes are text, as far as their signs show; those of a file's start are enough."""
    shown = sum(byte >= 0x20 or byte in b"\t\r\n" for byte in head)  # noqa: PLR2004 - ASCII's first printable byte
    return b"\0" not in head and shown >= _PRINTABLE_SHARE * len(head)
