"""Here: what the name of a lead means, in the spellings that files use. Not here: the signals (``readers.leads``, ``preparing``)."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from ecg_tasks.signals.record import STANDARD_LEADS

_STANDARD = MappingProxyType({lead.lower(): lead for lead in STANDARD_LEADS} | {"mlii": "II"})
_SPELLED = MappingProxyType(
    _STANDARD
    | {f"d{number}": lead for number, lead in (("i", "I"), ("ii", "II"), ("iii", "III"))}
    | {f"{letter}{number}": lead for letter in ("d", "l", "lead") for number, lead in ((1, "I"), (2, "II"), (3, "III"))}
)
"""Lead by its name in small letters without separators. A bare number is none: it counts channels. C1 is none either."""
_CODE = re.compile(r"^(mdc|nom)[ _]ecg[ _]lead[ _]")
_REMARK = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_WORDS = re.compile(r"^(?:(?:ecg|ekg|lead|ableitung)(?:-(?=\w)|[\s_.:]*))+")
"""Words before a lead. A minus sign that touches the word only parts it from the lead (ECG-II)."""
_TURNED = re.compile(r"^(?:\(-\)|-|minus[\s_]+|inverted[\s_]+)")
_TURNED_BEHIND = re.compile(r"(?:neg|[\s_]+inverted)$")
_REFERENCE = re.compile(r"[\s_\-]*ref$")
_SEPARATORS = re.compile(r"[\s_.:\-]+")
_TWO_LEADS = re.compile(r"i[\s_.:\-]+i")
"""``I-II`` is what is between two leads, and not lead III."""


@dataclass(frozen=True, kw_only=True)
class LeadName:
    """One of the twelve standard leads, and whether it is stored upside down."""

    lead: str
    turned: bool = False


@lru_cache(maxsize=1024)
def standard_name(name: str) -> str:
    """Return a lead's name as ``STANDARD_LEADS`` spells it; a name that is none of the twelve stays as it is.

    MLII, the modified limb lead II of Holter recordings, is read as II. These are the spellings of version 0.1: the names are part of
    a record's id, so they never change. See ``lead_meant`` for the other spellings.

    >>> [standard_name(name) for name in ("i", "AVR", "MLII", "v6", "vx")]
    ['I', 'aVR', 'II', 'V6', 'vx']
    """
    return _STANDARD.get(name.strip().lower(), name.strip())


@lru_cache(maxsize=1024)
def lead_meant(name: str) -> LeadName | None:
    """Return which of the twelve leads a name means, in any spelling; None where it means none of them, or it is not sure which.

    Accepted are words before the lead (``Lead II``, ``ECG II``, ``MDC_ECG_LEAD_II``), remarks in brackets (``II (Einthoven)``),
    ``DII``, ``D2``, ``L2``, a plus sign or ``-REF`` behind it, and separators. A minus sign before a lead, or ``neg`` behind it, means
    that it stands upside down. V3R is not V3: it lies on the other side of the chest.

    >>> [lead_meant(name).lead for name in ("DII", "Lead II", "lead_ii", "II+", "L2", "MDC_ECG_LEAD_II", "ECG aVF")]
    ['II', 'II', 'II', 'II', 'II', 'II', 'aVF']
    >>> lead_meant("-aVR"), lead_meant("V3R"), lead_meant("ECG 2")
    (LeadName(lead='aVR', turned=True), None, None)
    """
    text = unicodedata.normalize("NFKC", name).translate({0x2212: "-", 0x2013: "-", 0x2010: "-", 0x2011: "-"}).strip().lower()
    text = _CODE.sub("", text)
    turned = _TURNED.match(text)
    text = _REMARK.sub(" ", _TURNED.sub("", text)).strip()
    has_number = re.fullmatch(r"(?:ecg|ekg)?[\s_.:\-]*lead[\s_.:\-]*([123])", text)
    text = "lead" + has_number.group(1) if has_number else _WORDS.sub("", text)
    if turned is None and (turned := _TURNED.match(text)):
        text = _TURNED.sub("", text)
    bare = _TURNED_BEHIND.sub("", text)
    is_turned = (turned is not None) != (bare != text)
    bare = _REFERENCE.sub("", bare.rstrip(" +"))
    lead = None if bare.endswith("-") or _TWO_LEADS.search(bare) else _SPELLED.get(_SEPARATORS.sub("", bare))
    return None if lead is None else LeadName(lead=lead, turned=is_turned)


def canonical_names(names: Sequence[str]) -> list[str]:
    """Return the names of a recording's signals as they are stored.

    Where lead II has a name that version 0.1 knew, all names are spelled as version 0.1 spelled them, so that the record keeps its id.
    Otherwise, every lead that ``lead_meant`` knows has its standard name, with a minus sign before it where it is turned.

    >>> canonical_names(["DI", "dii", "V3R"]), canonical_names(["DI", "ii", "V3R"])
    (['I', 'II', 'V3R'], ['DI', 'II', 'V3R'])
    """
    known = [standard_name(name) for name in names]
    if "II" in known:
        return known
    meant = [lead_meant(name) for name in names]
    return [old if found is None else f"{'-' if found.turned else ''}{found.lead}" for old, found in zip(known, meant, strict=True)]
