"""Here: from the bytes of a file to its recordings, a module for each format. Not here: what is done with a recording."""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import unknown_file
from ecg_tasks.readers.base import Companions, Reader, Reading, Recording, Rejected
from ecg_tasks.readers.blanking import impossible, is_same
from ecg_tasks.readers.dicom import DicomReader
from ecg_tasks.readers.edf import EdfReader
from ecg_tasks.readers.file_names import is_header
from ecg_tasks.readers.hdf5_arrays import Hdf5Reader
from ecg_tasks.readers.heartbeat_csv import HeartbeatCsvReader
from ecg_tasks.readers.ishne import IshneReader
from ecg_tasks.readers.labels_csv import misnamed
from ecg_tasks.readers.lead_csv import LeadCsvReader
from ecg_tasks.readers.lead_parquet import LeadParquetReader
from ecg_tasks.readers.leads import finish
from ecg_tasks.readers.matlab_arrays import MatlabReader
from ecg_tasks.readers.numpy_arrays import NumpyReader
from ecg_tasks.readers.scp.record import ScpEcgReader
from ecg_tasks.readers.text_file import unpacked_head
from ecg_tasks.readers.wfdb.lines import matching_name
from ecg_tasks.readers.wfdb.record import WfdbReader
from ecg_tasks.readers.wfdb.renaming import with_names
from ecg_tasks.readers.xml_formats.aecg import AecgXmlReader
from ecg_tasks.readers.xml_formats.cardiosoft import CardiosoftXmlReader
from ecg_tasks.readers.xml_formats.muse import MuseXmlReader
from ecg_tasks.readers.xml_formats.philips import PhilipsXmlReader
from ecg_tasks.signals.record import Record

__all__ = [
    "READERS",
    "Companions",
    "Read",
    "Reader",
    "Reading",
    "Recording",
    "Rejected",
    "deidentified",
    "finish",
    "gather",
    "read",
    "reader_of",
]

log = logging.getLogger(__name__)

unwarned = partial(np.errstate, invalid="ignore", over="ignore")
"""Without NumPy's warnings of what a scale makes infinite or no number: the samples of every reader are judged (`finish`)."""
HEAD_BYTES = 64 * 1024
"""So much of a file's start tells which reader it is for."""
READERS: list[Reader] = [
    WfdbReader(),
    MuseXmlReader(),
    AecgXmlReader(),
    PhilipsXmlReader(),
    CardiosoftXmlReader(),
    ScpEcgReader(),
    IshneReader(),
    DicomReader(),
    EdfReader(),
    NumpyReader(),
    MatlabReader(),
    Hdf5Reader(),
    LeadParquetReader(),
    LeadCsvReader(),
    HeartbeatCsvReader(),
]
"""Every format. The first reader that knows a file reads it; those that go by a file's name alone come before and after the others."""


@dataclass(frozen=True, kw_only=True)
class Read:
    """The records of a file, and its rows that could not be read."""

    records: tuple[Record, ...]
    rejected: tuple[Rejected, ...] = ()


def reader_of(name: str, head: bytes) -> Reader | None:
    """Find the reader that a file is for.

    Parameters
    ----------
    name : path below the inbox
    head : the first ``HEAD_BYTES``

    Examples
    --------
    >>> reader_of("a/100.hea", b"").name, reader_of("photo.jpg", b"JFIF") is None
    ('wfdb', True)
    """
    return next((reader for reader in READERS if reader.knows(name, head)), None)


@unwarned()
def read(name: str, files: Mapping[str, bytes]) -> Read:
    """Read a file, with those beside it, by the reader that knows it.

    Parameters
    ----------
    name : path below the inbox
    files : bytes by file name: the file itself first

    Raises
    ------
    BadInputError
        With the reader's reason; ``unknown_format`` where no reader knows it; ``unreadable`` where the reader itself fails, since
        reading the same bytes again would fail again.
    """
    reader = _reader_for(name, files)
    try:
        found = reader.read(files, name)
        return Read(records=tuple(map(finish, found.recordings)), rejected=found.rejected)
    except (BadInputError, MemoryError):
        raise
    except Exception as error:
        _log_failure(reader, error)
        sentence = (
            f"{name}: its reader failed ({type(error).__name__}), which is a fault of the "
            "program. Report it, and put the file back after an update"
        )
        raise BadInputError(Reason.UNREADABLE, sentence) from error


@unwarned()
def deidentified(
    name: str, files: Mapping[str, bytes], *, before: Read | None = None, called: Mapping[str, str] | None = None
) -> dict[str, bytes]:
    """Make the same files without identifiers of persons, and prove that they still hold the same records.

    What was made is read again: its records must have the same names, ids (samples, rate and leads), labels, ages and sexes, but for ages
    above 89, which are 90. Rows that could not be read are left out.

    Parameters
    ----------
    name : path below the inbox
    files : bytes by file name: the file itself first
    before : what `read` gave of them, where that is known
    called : names that the copies get, by the files'; they keep theirs without any

    Returns
    -------
    dict of bytes by file name, in the same order

    Raises
    ------
    BadInputError
        As `read`, and ``unreadable`` where no such copy can be made: then nothing of the files should be kept.
    """
    expected = (before or read(name, files)).records
    if not expected:
        raise impossible(name, "none of its rows can be read")
    reader = _reader_for(name, files)
    try:
        blanked = reader.deidentified(files, name)
    except (BadInputError, MemoryError):
        raise
    except Exception as error:
        _log_failure(reader, error)
        raise impossible(name, f"its reader failed ({type(error).__name__}), which is a fault of the program") from error
    if list(blanked) != list(files):
        raise impossible(name, "the copy would have other files")
    has_header = any(map(is_header, blanked))
    if called is not None and has_header:
        blanked = with_names(blanked, called)
    try:
        after = read(name, blanked).records
    except BadInputError as error:
        raise impossible(name, f"the copy could not be read ({error.reason.value})") from error
    if len(after) != len(expected) or not all(map(is_same, after, expected)):
        raise impossible(name, "the copy would hold other records")
    return blanked if called is None or has_header else {called[file]: data for file, data in blanked.items()}


def _log_failure(reader: Reader, error: Exception) -> None:
    """Log where a reader failed, without the error's own words, which may quote the file."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    log.error("the reader %s failed with %s\n%s", reader.name, type(error).__name__, frames)


def _reader_for(name: str, files: Mapping[str, bytes]) -> Reader:
    head = next(iter(files.values()))[:HEAD_BYTES]
    if fault := misnamed(name, head):
        raise fault
    reader = reader_of(name, head)
    if reader is None:
        raise BadInputError(Reason.UNKNOWN_FORMAT, unknown_file.sentence(name, unpacked_head(head)))
    return reader


def gather(name: str, data: bytes, beside: Mapping[str, Callable[[], bytes]]) -> dict[str, bytes]:
    """Collect a file and all that it needs, given those in its folder.

    Parameters
    ----------
    name : of the file
    data : its bytes
    beside : every file of its folder: how to get its bytes

    Raises
    ------
    BadInputError
        ``incomplete`` where a file that is needed is not there.
    """
    files = {name: data}
    reader = reader_of(name, data[:HEAD_BYTES])
    asked = [name] if reader else []
    while asked and reader:
        this = asked.pop(0)
        needed = reader.companions(this, files[this])
        for wanted in needed.names:
            there = matching_name(wanted, beside)
            if there is None:
                raise BadInputError(Reason.INCOMPLETE, f"{name} names the file {wanted}, which is not in the same folder")
            if there not in files:
                files[there] = beside[there]()
                if this == name and needed.nested and reader.knows(there, files[there][:HEAD_BYTES]):
                    asked.append(there)
        aside = next((there for wanted in needed.optional if (there := matching_name(wanted, beside)) is not None), None)
        if aside is not None:
            files.setdefault(aside, beside[aside]())
    return files
