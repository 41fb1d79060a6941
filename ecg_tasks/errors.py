"""Here: every error the library raises, split by what the caller does next. Not here: handling them."""

from collections.abc import Iterable
from enum import StrEnum


class Reason(StrEnum):
    """Why an input was put into quarantine. The values are stored and shown, so they never change."""

    UNKNOWN_FORMAT = "unknown_format"
    UNREADABLE = "unreadable"
    WRONG_WIDTH = "wrong_width"
    NOT_NUMERIC = "not_numeric"
    NON_FINITE = "non_finite"
    OUT_OF_RANGE = "out_of_range"
    FLAT = "flat"
    TOO_SHORT = "too_short"
    TOO_LARGE = "too_large"
    MISSING_LEAD = "missing_lead"
    INCOMPLETE = "incomplete"
    CHECKSUM_MISMATCH = "checksum_mismatch"
    UNIT_UNKNOWN = "unit_unknown"
    BAD_LABEL = "bad_label"
    UNSAFE_PATH = "unsafe_path"
    FORGOTTEN = "forgotten"


SENTENCES = {
    Reason.UNKNOWN_FORMAT: "It is in no format that is read.",
    Reason.UNREADABLE: "It cannot be read.",
    Reason.WRONG_WIDTH: "It has another number of values than it must have.",
    Reason.NOT_NUMERIC: "It holds something that is no number.",
    Reason.NON_FINITE: "It holds a value that is missing or infinite.",
    Reason.OUT_OF_RANGE: "It holds a value that cannot be one.",
    Reason.FLAT: "Its signal does not change.",
    Reason.TOO_SHORT: "It is too short.",
    Reason.TOO_LARGE: "It is too large.",
    Reason.MISSING_LEAD: "It lacks a lead that is needed.",
    Reason.INCOMPLETE: "A part of it did not come.",
    Reason.CHECKSUM_MISMATCH: "It is not what its checksum says.",
    Reason.UNIT_UNKNOWN: "It does not say its rate, its unit or its leads.",
    Reason.BAD_LABEL: "Its label could not be applied.",
    Reason.UNSAFE_PATH: "Its name cannot be a path.",
    Reason.FORGOTTEN: "This recording was forgotten here, and is refused until somebody allows it again. Nothing of it was kept.",
}
"""What everybody may be told of a reason: the sentence of the fault itself may quote what stands in the file."""

_AGAIN = "drop it again, under any name"
ADVICE = {
    Reason.UNKNOWN_FORMAT: f"Export the recording in a format that is read, such as WFDB, SCP-ECG or HL7 aECG, and {_AGAIN}.",
    Reason.UNREADABLE: f"The file is damaged, or its upload was interrupted. Copy or export it once more, and {_AGAIN}.",
    Reason.WRONG_WIDTH: f"A row of heartbeats has 187 or 188 numbers. A table of leads begins with their names. Correct it, and {_AGAIN}.",
    Reason.NOT_NUMERIC: f"Replace what is not a number, or delete the row, and {_AGAIN}. Rows that were read before do not count twice.",
    Reason.NON_FINITE: f"Fill the gap, or cut the recording at the gap, and {_AGAIN}.",
    Reason.OUT_OF_RANGE: f"Check the unit, gain, rate and length in the file. Correct what is wrong, and {_AGAIN}.",
    Reason.FLAT: "Nothing was recorded: a cable or an electrode was off. The file cannot be corrected; hide the entry, or record again.",
    Reason.TOO_SHORT: f"At least five seconds are needed. Export a longer part of the recording, and {_AGAIN}.",
    Reason.TOO_LARGE: f"Split it, and {_AGAIN}; or raise ECG_MAX_OBJECT_BYTES or ECG_MAX_ARCHIVE_BYTES, and put it back.",
    Reason.MISSING_LEAD: f"Lead II is needed, or two limb leads that give it. Export the recording with them, and {_AGAIN}.",
    Reason.INCOMPLETE: "Drop all files of the recording together in one folder, under any name. This part alone is of no use.",
    Reason.CHECKSUM_MISMATCH: f"Its bytes changed on the way. Copy it again from where it was recorded, and {_AGAIN}.",
    Reason.UNIT_UNKNOWN: "Write a signals.json with rate, unit and leads, and drop it with the file in one folder, under any name.",
    Reason.BAD_LABEL: "Correct the row, and drop the table again. Rows that were applied before change nothing.",
    Reason.UNSAFE_PATH: "Give it a name without .. and without control characters, and drop it again.",
    Reason.FORGOTTEN: "There is nothing to correct. If the recording may come back, run ./ecg allow-again, and drop it again.",
}
"""What to do about a reason. A record is its signal, so a mended file counts once, whatever it is called."""


class EcgError(Exception):
    """The base of all errors raised on purpose by this library."""


class BadInputError(EcgError):
    """The data is at fault: quarantine it with ``reason`` and go on; a retry cannot help."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message

    def __reduce__(self) -> tuple[type["BadInputError"], tuple[Reason, str]]:
        return type(self), (self.reason, self.message)


class SignalError(EcgError, ValueError):
    """A signal function was called with an array or a parameter it cannot work on: a fault of the caller."""


class StoreError(EcgError):
    """The object store did not answer as it should: try again later."""


class StoreConflictError(EcgError):
    """Other bytes stand under a key that is written once: give up and look, for one of the two is wrong; nothing was changed."""


class MissingObjectError(EcgError):
    """There is no object of this key in the bucket: where it must be, try again, for it may have been replaced meanwhile."""


class ForgettingError(EcgError):
    """A recording is being forgotten at this moment: try again later, for the bucket is not whole until that is over."""


class ConfigurationError(EcgError):
    """A setting is missing or impossible: give up, and name the variable."""


class NotEnoughDataError(EcgError):
    """There is too little labelled data to train or to evaluate a model: give up until more arrives."""


class LeakageError(EcgError):
    """What a model would be tested on shows in what it would be trained on: no figure would mean anything, so give up and name it."""


class ModelRefusedError(EcgError):
    """A model version is damaged, or does not do what its own record says: never serve it."""


class DamagedStoreError(EcgError):
    """Stored bytes are not what their name says: give up, and restore them; a retry reads the same."""


_MOST_OFFERED = 12


def offer(wanted: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about a name that is not known: the names that are like it, or the last of those there are.

    >>> offer("classify_record", ["classify_records", "ingest_records"])
    '; did you mean classify_records?'
    >>> offer("x", ["2026-01-01", "2026-01-02"]), offer("x", [])
    ('; there are 2026-01-01, 2026-01-02', '; there are none')
    """
    from difflib import get_close_matches

    names = sorted(set(known))
    if near := get_close_matches(wanted, names, n=3, cutoff=0.75):
        return f"; did you mean {' or '.join(near)}?"
    more = f" and {len(names) - _MOST_OFFERED:,} more" if len(names) > _MOST_OFFERED else ""
    return f"; there are {', '.join(names[-_MOST_OFFERED:]) or 'none'}{more}"
