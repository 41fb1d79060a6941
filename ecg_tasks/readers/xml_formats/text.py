"""Here: XML from bytes within bounds, and numbers from its text. Not here: what the elements of a format mean (``muse`` and others)."""

import base64
import binascii
import codecs
import re
from decimal import Decimal
from xml.etree.ElementTree import Element, ParseError
from xml.parsers.expat import errors as expat

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason

MAX_XML_BYTES = 32 * 1024 * 1024
"""Twelve leads of a quarter of an hour at 500 Hz, as numbers in words; they take some 2 s and 600 MB at worst."""
MAX_MARKS = 500_000
"""Of ``<`` and of ``=``: of elements and attributes, a hundred times as many as a resting ECG has."""

_UTF16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"), (b"<\0", "utf-16-le"), (b"\0<", "utf-16-be"))
_HEAD_CHARS = 64 * 1024
_NAME = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)")
_CUT_SHORT = {
    expat.codes[message]
    for message in (
        expat.XML_ERROR_NO_ELEMENTS,
        expat.XML_ERROR_UNCLOSED_TOKEN,
        expat.XML_ERROR_PARTIAL_CHAR,
        expat.XML_ERROR_UNCLOSED_CDATA_SECTION,
    )
}
_MICRO = str.maketrans({"\N{MICRO SIGN}": "u", "\N{GREEK SMALL LETTER MU}": "u"})


def root_name(head: bytes) -> str:
    """Return the name of an XML file's root in small letters, without its namespace; nothing where the bytes are no XML.

    >>> root_name(b'<?xml version="1.0"?><!-- <a> --><!DOCTYPE RestingECG SYSTEM "restecg.dtd"><RestingECG>')
    'restingecg'
    """
    encoding = _utf16(head)
    if encoding is None and not head[:256].lstrip(codecs.BOM_UTF8 + b" \t\r\n").startswith(b"<"):
        return ""
    text = head.decode(encoding or "latin-1", "ignore")[:_HEAD_CHARS]
    at = text.find("<")
    while at >= 0:
        if text.startswith("<!--", at):
            end = text.find("-->", at)
        elif text.startswith("<?", at):
            end = text.find("?>", at)
        elif text.startswith("<!", at):
            end = text.find(">", text.find("]", at) if "[" in text[at : text.find(">", at)] else at)
        else:
            found = _NAME.match(text, at)
            return found[1].lower() if found else ""
        at = text.find("<", end) if end >= 0 else -1
    return ""


def parse_xml(data: bytes, *, name: str) -> Element:
    """Parse a file; the names of its elements come without their namespaces.

    A document type may be named, as in every file of MUSE, but nothing is fetched, and no entity is declared. UTF-16 is read with a
    byte order mark or without, and also UTF-8 that still calls itself UTF-16.

    Raises
    ------
    BadInputError
        ``too_large``; ``incomplete`` where the text ends before its last element does; ``unreadable``.
    """
    from defusedxml.common import DefusedXmlException  # only here: most files that are looked at are no XML
    from defusedxml.ElementTree import fromstring

    encoding = _utf16(data)
    marks = max(data.count(b"<"), data.count(b"="))
    if len(data) > MAX_XML_BYTES or marks > MAX_MARKS:
        sizes = f"{len(data):,} bytes, {marks:,} elements and attributes"
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {sizes}; the limits are {MAX_XML_BYTES:,} and {MAX_MARKS:,}")
    try:
        if encoding is not None:
            text: str | bytes = data.decode(encoding).lstrip("\N{ZERO WIDTH NO-BREAK SPACE}")
        elif re.match(rb"\s*<\?xml[^>]*utf-?16", data[:200], re.IGNORECASE):
            text = data.decode("utf-8-sig")
        else:
            text = data
        root: Element = fromstring(text)
    except ParseError as error:
        reason = Reason.INCOMPLETE if error.code in _CUT_SHORT else Reason.UNREADABLE
        line = error.position[0]
        cut = f"the XML ends in line {line}, before the end of its last element"
        fault = cut if reason is Reason.INCOMPLETE else f"it is not XML from line {line} on"
        raise BadInputError(reason, f"{name}: {fault}; export it again") from None
    except UnicodeDecodeError as error:
        whole = error.reason not in {"truncated data", "unexpected end of data"}
        cut = f"the XML ends in the middle of a character, at byte {error.start:,}"
        fault = "its text is not in the encoding that it names" if whole else cut
        raise BadInputError(Reason.UNREADABLE if whole else Reason.INCOMPLETE, f"{name}: {fault}") from None
    except DefusedXmlException:
        raise BadInputError(
            Reason.UNREADABLE, f"{name}: the XML declares entities, which may expand without end; export it again"
        ) from None
    except (ValueError, LookupError):
        raise BadInputError(Reason.UNREADABLE, f"{name}: the encoding of the XML is not supported; save it as UTF-8") from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text_at(element: Element | None, path: str) -> str:
    """Return the text of the first element at a path, without blanks around it; nothing where there is none."""
    found = None if element is None else element.find(path)
    return "" if found is None else "".join(found.itertext()).strip()


def number(text: str) -> float | None:
    """Return a finite number that a text is, or None."""
    try:
        value = float(text) if text.isascii() and "_" not in text else None
    except ValueError:
        return None
    return value if value is not None and abs(value) < float("inf") else None


def needed(text: str, *, what: str, name: str, most: float = float("inf")) -> float:
    """Return the number above zero that a text is.

    Raises
    ------
    BadInputError
        ``unreadable`` where it is none, or above ``most``.
    """
    value = number(text)
    if value is None or not 0 < value <= most:
        wrong = "is not a number above 0" if value is None or value <= 0 else f"is {value:g}; the limit is {most:g}"
        fault = wrong if text else "is missing"
        raise BadInputError(Reason.UNREADABLE, f"{name}: {what} {fault}")
    return value


def rate_of(step: str, *, unit_s: str = "1") -> float | None:
    """Return the sampling rate, in Hz, of a step between samples; exact where it can be, so that 0.002 s are 500 Hz.

    >>> rate_of("0.002"), rate_of("2", unit_s="0.001"), rate_of("0")
    (500.0, 500.0, None)
    """
    try:
        rate = float(1 / (Decimal(step.strip()) * Decimal(unit_s)))
    except (ArithmeticError, ValueError):
        return None
    return rate if 0 < rate < float("inf") else None


def samples_in(text: str, *, separator: str, what: str, name: str) -> NDArray[np.float64]:
    """Return the numbers of a text.

    Raises
    ------
    BadInputError
        ``not_numeric`` where there are none, or one of them is no finite number.
    """
    try:
        found = np.fromstring(text, dtype=np.int64, sep=separator).astype(np.float64)
    except ValueError:
        try:
            found = np.array(text.replace(separator, " ").split() if "_" not in text else ["_"], dtype=np.float64)
        except ValueError:
            found = np.empty(0)
    if not found.size or not np.isfinite(found).all():
        raise BadInputError(Reason.NOT_NUMERIC, f"{name}: the samples of {what} are not all numbers")
    return found


def bytes_in(text: str, *, what: str, name: str) -> bytes:
    """Return what a text in Base64 stands for.

    Raises
    ------
    BadInputError
        ``incomplete`` where it is cut off within four letters, ``unreadable`` where it is no Base64.
    """
    packed = "".join(text.split())
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        if len(packed) % 4 and re.fullmatch(r"[A-Za-z0-9+/]+={0,2}", packed):
            raise BadInputError(
                Reason.INCOMPLETE, f"{name}: {what} is cut off: its Base64 has {len(packed):,} characters, which is not a multiple of four"
            ) from None
        raise BadInputError(Reason.UNREADABLE, f"{name}: {what} is not Base64") from None


def plain_unit(text: str) -> str:
    """Return a unit with ``u`` for the two letters that stand for micro."""
    return text.strip().translate(_MICRO)


def _utf16(data: bytes) -> str | None:
    return next((encoding for mark, encoding in _UTF16 if data.startswith(mark)), None)
