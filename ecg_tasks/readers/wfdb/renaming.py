"""Here: a WFDB recording under other file names, its headers rewritten so that they name them. Not here: which names (``archive``)."""

from collections.abc import Mapping
from dataclasses import replace

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.file_names import HEADER_SUFFIX, is_header
from ecg_tasks.readers.wfdb.header import NO_FILE, Header, header_text, parse_header
from ecg_tasks.readers.wfdb.lines import matching_name, own_name, record_line, signal_line


def renamed(files: Mapping[str, bytes], called: Mapping[str, str]) -> dict[str, bytes]:
    """Return the files under their new names, in the same order; every header says the same of the signals as before.

    Parameters
    ----------
    files : bytes by file name
    called : new name of each; that of a header ends with ``.hea``

    Raises
    ------
    BadInputError
        If a header cannot be read, or names a file that is not among them.
    """
    made = with_names(files, called)
    for name, data in files.items():
        again = made[called[name]]
        if is_header(name) and _without_names(parse_header(again, name=called[name])) != _without_names(parse_header(data, name=name)):
            raise BadInputError(Reason.UNREADABLE, f"{name}: with other file names its header would mean something else")
    return made


def with_names(files: Mapping[str, bytes], called: Mapping[str, str]) -> dict[str, bytes]:
    """Return the same as `renamed`, for who reads it again: what the headers say now is not looked at."""
    return {called[name]: _header(name, data, called) if is_header(name) else data for name, data in files.items()}


def _header(name: str, data: bytes, called: Mapping[str, str]) -> bytes:
    lines = header_text(data, name=name).splitlines()
    content = [place for place, line in enumerate(lines) if line.strip() and not line.strip().startswith("#")]
    first = record_line([lines[place].strip() for place in content])
    segments = f"/{first.n_segments}" if first.n_segments else ""
    lines[content[0]] = f"{_stem(called[name])}{segments} {first.rest}"
    for place in content[1:]:
        line = lines[place].strip()
        written, rest = (*line.split(maxsplit=1), "")[:2] if first.n_segments else signal_line(line)
        if written != NO_FILE:
            file = own_name(written, name=name) + (HEADER_SUFFIX if first.n_segments else "")
            there = matching_name(file, called)
            if there is None:
                raise BadInputError(Reason.INCOMPLETE, f"{name}: the file {file} is missing")
            written = _stem(called[there]) if first.n_segments else called[there]
        lines[place] = f"{written} {rest}".rstrip()
    return "".join(f"{line}\n" for line in lines).encode()


def _stem(header: str) -> str:
    return header[: -len(HEADER_SUFFIX)]


def _without_names(header: Header) -> Header:
    """Return all that a header says but the names of files."""
    return replace(
        header,
        signals=tuple(signal._replace(file_name="") for signal in header.signals),
        segments=tuple(replace(segment, name="") for segment in header.segments),
    )
