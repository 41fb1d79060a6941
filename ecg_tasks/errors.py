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
    Reason.UNKNOWN_FORMAT: "Its format is not supported.",
    Reason.UNREADABLE: "It cannot be read.",
    Reason.WRONG_WIDTH: "A row has the wrong number of values.",
    Reason.NOT_NUMERIC: "It contains something that is not a number.",
    Reason.NON_FINITE: "It contains a value that is missing or infinite.",
    Reason.OUT_OF_RANGE: "It contains a value that is not possible.",
    Reason.FLAT: "Its signal does not change.",
    Reason.TOO_SHORT: "It is too short.",
    Reason.TOO_LARGE: "It is too large.",
    Reason.MISSING_LEAD: "A lead that is needed is missing.",
    Reason.INCOMPLETE: "A part of it is missing.",
    Reason.CHECKSUM_MISMATCH: "Its bytes do not match its checksum.",
    Reason.UNIT_UNKNOWN: "It does not give its sampling rate, its unit or its leads.",
    Reason.BAD_LABEL: "Its label could not be applied.",
    Reason.UNSAFE_PATH: "Its name cannot be used as a path.",
    Reason.FORGOTTEN: "This recording was forgotten here. It is refused until somebody allows it again, and nothing of it was kept.",
}
"""What everybody may read about a reason. The message of the error itself may quote the file, so not everybody may read it."""

_AGAIN = "drop it again"
ADVICE = {
    Reason.UNKNOWN_FORMAT: f"Export the recording in a supported format, such as WFDB, SCP-ECG or HL7 aECG, and {_AGAIN}.",
    Reason.UNREADABLE: f"The file is damaged, or its upload was interrupted. Copy or export it again, and {_AGAIN}.",
    Reason.WRONG_WIDTH: f"A row of heartbeats has 187 or 188 numbers. A table of leads begins with their names. Correct it, and {_AGAIN}.",
    Reason.NOT_NUMERIC: f"Replace what is not a number, or delete the row, and {_AGAIN}. Rows that were read before do not count twice.",
    Reason.NON_FINITE: f"Fill the gap, or leave out the part with the gap, and {_AGAIN}.",
    Reason.OUT_OF_RANGE: f"Check the unit, gain, rate and length in the file. Correct what is wrong, and {_AGAIN}.",
    Reason.FLAT: (
        "Nothing was recorded, perhaps because a cable or an electrode was off. The file "
        "cannot be corrected: hide the entry, or record again."
    ),
    Reason.TOO_SHORT: f"At least five seconds are needed. Export a longer part of the recording, and {_AGAIN}.",
    Reason.TOO_LARGE: (
        f"Split it, and {_AGAIN}. If the limit is ECG_MAX_OBJECT_BYTES, ECG_MAX_ARCHIVE_BYTES or ECG_MAX_ARCHIVE_MEMBERS, "
        "you can raise it instead, and put the file back."
    ),
    Reason.MISSING_LEAD: (
        f"Lead II is needed, or two limb leads from which it can be computed. Export the recording with them, and {_AGAIN}."
    ),
    Reason.INCOMPLETE: "Drop all files of the recording together in one folder, under their own names. This part alone cannot be used.",
    Reason.CHECKSUM_MISMATCH: f"Its bytes were changed after it was recorded. Copy it again from its source, and {_AGAIN}.",
    Reason.UNIT_UNKNOWN: "Write a signals.json with sampling rate, unit and leads, and drop it together with the file in one folder.",
    Reason.BAD_LABEL: "Correct the row, and drop the table again. Rows that were already applied are not applied twice.",
    Reason.UNSAFE_PATH: "Give it a shorter name, or one without .. and control characters, and drop it again.",
    Reason.FORGOTTEN: "There is nothing to correct. If the recording may come back, run ./ecg allow-again, and drop it again.",
}
"""What to do about a reason. A record is known by its signal, so a corrected file counts once, whatever its name."""


class EcgError(Exception):
    """The base of all errors that this library raises on purpose."""


class BadInputError(EcgError):
    """The data is wrong: put it into quarantine with ``reason`` and continue. A retry cannot help."""

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
    """Other bytes are stored under a key that is written only once. One of the two is wrong: give up. Nothing was changed."""


class MissingObjectError(EcgError):
    """The bucket has no object of this key. If it must exist, try again: it may have been replaced in the meantime."""


class ForgettingError(EcgError):
    """A recording is being forgotten at this moment, and the bucket is incomplete until that has ended: try again later."""


class ConfigurationError(EcgError):
    """A setting is missing or impossible. The message names the variable: give up."""


class NotEnoughDataError(EcgError):
    """There is too little labelled data to train or to evaluate a model: give up until more arrives."""


class LeakageError(EcgError):
    """Test data of a model is in its training data, so no figure would mean anything. The message names the data: give up."""


class ModelRefusedError(EcgError):
    """A model version is damaged, or does not do what its files say: never let it serve."""


class DamagedStoreError(EcgError):
    """Stored bytes do not match the digest in their name: give up, and restore them from a backup. A retry would read the same."""


_MOST_OFFERED = 12


def offer(wanted: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about a name that is not known: the names that are similar, or the last of all names.

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
