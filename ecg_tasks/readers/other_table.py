"""Here: what a CSV without heartbeats seems to hold, for the sentence that refuses it. Not here: reading it."""

import re
from collections.abc import Sequence

from ecg_tasks.readers.table_notation import MAX_LINE_BYTES
from ecg_tasks.readers.unknown_file import kind_of
from ecg_tasks.signals.record import HEARTBEAT_SAMPLES

_LEAD = re.compile(
    r"(?:ecg|ekg|lead|channel|mdc_ecg_lead|[\s_:\-])*(?:d?(?:i{1,3})|-?av[rlf]|m?v[1-9]r?|mlii|mcl1|v[xyz])[\s_]*(?:[\[(]?[mµu]?v[\])]?)?\+?",
    re.IGNORECASE,
)
_TIME = re.compile(
    r"(?:elapsed\s*)?(?:time|t|seconds|sample\s*(?:#|number|index)?|samples?)[\s_]*(?:[\[(]?m?s(?:ec)?[\])]?)?", re.IGNORECASE
)
_NUMBER = re.compile(rb"\s*[-+]?(?:\d+[.,]?\d*|[.,]\d+)(?:[eE][-+]?\d+)?\s*")
_SEPARATORS = (b",", b";", b"\t")
_MOST_LEADS = 32
_SHOWN = 3
_LOOKED_AT = 50
_LONGEST_NAME = 40
_EXPORT = "A table of leads can be read if its first line names a time and the leads, such as time_s,II_mV,V5_mV, and numbers follow"


def describe(lines: Sequence[bytes], *, name: str) -> str:
    """Tell in one sentence or two what a CSV holds whose rows are no heartbeats.

    Only names of leads are shown from it: other words may be a person's.

    Parameters
    ----------
    lines : the lines that hold something, at least one
    name : path below the inbox
    """
    first = lines[0][:MAX_LINE_BYTES]
    kind = kind_of(b"\n".join(lines[:_LOOKED_AT])[:MAX_LINE_BYTES])
    if kind is not None:
        return f"{name} is not a table of heartbeats; it looks like {kind}"
    separator = max(_SEPARATORS, key=first.count)
    fields = [field.decode("utf-8", "replace").strip().strip("\"'").strip() for field in first.split(separator)]
    fields = [field if len(field) <= _LONGEST_NAME else "" for field in fields]
    leads = [field for field in fields if _LEAD.fullmatch(field)]
    if leads and len(leads) + sum(bool(_TIME.fullmatch(field)) for field in fields) >= max(1, len(fields) - 1):
        shown = f"{', '.join(leads[:_SHOWN])}, …" if len(leads) > _SHOWN else ", ".join(leads)
        size = f"about {len(lines) - 1:,} rows of {len(fields)} columns"
        return f"{name} is a table of a recording, not of heartbeats: {size}, named {shown}. {_EXPORT}"
    looked_at = [line[:MAX_LINE_BYTES] for line in lines[1 : 1 + _LOOKED_AT]] or [first]
    numeric = sum(all(_NUMBER.fullmatch(field) for field in line.split(separator)) for line in looked_at)
    columns = lines[min(1, len(lines) - 1)].count(separator) + 1
    size = f"{len(lines)} line{'s'[: len(lines) > 1]} with {columns} column{'s'[: columns > 1]}"
    heartbeats = f"a row of heartbeats has {HEARTBEAT_SAMPLES} or {HEARTBEAT_SAMPLES + 1}"
    if numeric < len(looked_at) / 2:
        what = "text, not a table" if columns == 1 else "a table that has something other than numbers"
        return f"{name} is {what}: {size}; {heartbeats} columns, all of them numbers"
    if columns == HEARTBEAT_SAMPLES + 2:
        return (
            f"{name}: rows have {columns} columns; {heartbeats}. If column 1 is an index (0, 1, 2, …), leave it out "
            "(pandas: to_csv(index=False))"
        )
    if 1 < columns <= _MOST_LEADS < len(lines) or (len(lines) <= _MOST_LEADS and columns > 2 * HEARTBEAT_SAMPLES):
        unnamed = "If it is a recording, its leads have no names"
        return f"{name} is a table of numbers, but not of heartbeats: {size} ({heartbeats}). {unnamed}. {_EXPORT}"
    return f"{name}: no row has {HEARTBEAT_SAMPLES} or {HEARTBEAT_SAMPLES + 1} columns; {size}"
