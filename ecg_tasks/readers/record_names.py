"""Here: when two spellings of a record's name are the same name. Not here: which records there are (``pipeline.intake.names``)."""

import posixpath
import re
import unicodedata

from ecg_tasks.names import INBOX

_CSV = re.compile(r"\.csv(\.gz)?(?=(#\d+)?$)", re.ASCII | re.IGNORECASE)
_FILE_OF_A_RECORDING = re.compile(r"\.(hea|dat|mat|xyz)$", re.ASCII | re.IGNORECASE)


def normal_name(name: str) -> str:
    """Return the form that all spellings of a record's name share: Unicode NFC, and the ending of a CSV file in small letters.

    >>> normal_name("ward/Beats.CSV#3")
    'ward/Beats.csv#3'
    """
    if not name.isascii():
        name = unicodedata.normalize("NFC", name)
    return _CSV.sub(lambda match: match[0].lower(), name) if _CSV.search(name) else name


def paths_meant(record: str, *, folder: str) -> list[tuple[str, ...]]:
    r"""Return the normal names of the records that a table's row can mean, as spellings of one path each.

    The path beside the table comes first, then the same path from the inbox on, if the row gives folders. Of one path the name as it
    stands comes first, then without ``.hea``, ``.dat``, ``.mat`` or ``.xyz``. ``\`` is read as ``/``, and ``./`` and ``../`` are followed.
    A bare name never means a record of another folder.

    Parameters
    ----------
    record : what stands in the row, such as ``100``, ``./100.hea``, ``ward/100`` or ``beats.csv#3``
    folder : of the table, below the inbox; empty for the inbox itself

    Examples
    --------
    >>> paths_meant("r.hea", folder="ward")
    [('ward/r.hea', 'ward/r')]
    >>> paths_meant("ward\\r", folder="ward")
    [('ward/ward/r',), ('ward/r',)]
    """
    path = record.replace("\\", "/") if "\\" in record else record
    if "/" not in path and path not in {".", ".."}:
        return [_spellings(f"{folder}/{path}" if folder else path)]
    whole = posixpath.normpath(path.removeprefix("/"))
    found = [] if path.startswith("/") else [posixpath.normpath(posixpath.join(folder, path))]
    if "/" in whole or path.startswith("/"):
        found += [whole, whole.removeprefix(INBOX)]
    inside = dict.fromkeys(one for one in found if one != "." and not one.startswith(".."))
    return [_spellings(one) for one in inside]


def _spellings(path: str) -> tuple[str, ...]:
    name = normal_name(path)
    bare = _FILE_OF_A_RECORDING.sub("", name)
    return (name,) if bare == name or bare.endswith("/") else (name, bare)
