"""Here: what is stored of the names of files and folders, which may be people's. Not here: names of patients inside files (``readers``).

By default nothing that is readable: a record is called by its id, a file by its digest. That is a keyed hash, so that nobody without the
key can try a name, and one and the same for one path, so that a label which comes later finds its recording.
"""

import hmac
import posixpath
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Self

from ecg_tasks.archive import keys
from ecg_tasks.readers.file_names import SIDECAR, is_label_table, known_ending, recording_name
from ecg_tasks.readers.record_names import normal_name
from ecg_tasks.settings import Settings

_HASHED = re.compile(r"~[0-9a-f]{24}(#\d+)?", re.ASCII)
_WITH_ROW = re.compile(r"(.+)(#\d+)", re.ASCII | re.DOTALL)
_DIGEST = re.compile(r"[0-9a-f]{24}", re.ASCII)
_OF_A_FILE = b"name\0"
"""Before what is hashed: a name has another digest than a patient's id."""


@dataclass(frozen=True, kw_only=True)
class StoredNames:
    """How names are stored.

    ``keep`` says to store them as they are, for collections whose names are nobody's (``ECG_KEEP_NAMES``). ``sites`` are the folders
    that are known to be no person's (``ECG_SITES``).
    """

    key: bytes
    keep: bool
    sites: tuple[str, ...] = ()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Return what the settings say."""
        return cls(key=settings.patient_key, keep=settings.keep_names, sites=settings.sites)

    def hashed(self, name: str) -> str:
        """Return the digest by which a record or a file is matched: of its path below the inbox, the number of a row kept.

        >>> names = StoredNames(key=b"0" * 32, keep=False)
        >>> names.hashed("ward/beats.CSV#3")
        '~b7dd9a6d53ac0a02cbab47c6#3'
        >>> names.hashed(names.hashed("ward/beats.csv#3"))
        '~b7dd9a6d53ac0a02cbab47c6#3'
        """
        if _HASHED.fullmatch(name):
            return name
        match = _WITH_ROW.fullmatch(name)
        file, row = match.groups() if match else (name, "")
        return f"~{self._digest(normal_name(file))}{row}"

    def shown(self, name: str) -> str:
        """Return what a dropped file, or a row of one, is called in accounts, labels and messages."""
        return name if self.keep else self.hashed(recording_name(name))

    def in_inbox(self, key: str) -> str:
        """Return a key of the inbox as accounts have it."""
        return key if self.keep else f"{keys.INBOX}{self.hashed(key.removeprefix(keys.INBOX))}"

    def of_a_forgotten(self, key: str, etag: str) -> str:
        """Return by what a file of the inbox is known in the line of a forgotten recording: its ETag is a digest of its bytes."""
        return self._digest(f"{key}\n{etag}")

    def waiting_id(self, key: str, etag: str) -> str:
        """Return by what forms and notes name a file of the inbox: nobody reads its name there, and other bytes have another.

        >>> len(StoredNames(key=b"0" * 32, keep=True).waiting_id("inbox/Erika.hea", "0a"))
        24
        """
        return self._digest(f"waiting\n{key}\n{etag}")

    def file(self, name: str) -> str:
        """Return the name under which a file's bytes are stored: files of one stem keep one, so that headers can name them.

        >>> StoredNames(key=b"0" * 32, keep=False).file("Erika.hea").endswith(".hea")
        True
        """
        ending = known_ending(name)
        stem = name[: -len(ending)] if ending else name
        says_nothing = not stem or is_label_table(name) or name.casefold() == SIDECAR
        return name if self.keep or says_nothing else self._digest(stem) + ending

    def site_of(self, *paths: str) -> str | None:
        """Return the site of a file, by these paths below the inbox (`site_in`)."""
        return site_in(self.sites, *paths)

    def in_list(self, key: str) -> str:
        """Return a stored key as a list of what was deleted has it: older ones in raw/ and quarantine/ end with a name."""
        if self.keep or not key.startswith((keys.RAW, keys.QUARANTINE)):
            return key
        folder, name = posixpath.split(key)
        is_hashed = _DIGEST.fullmatch(name.removesuffix(known_ending(name)))
        return key if keys.is_ours(name) or is_hashed else f"{folder}/{self.file(name)}"

    def _digest(self, name: str) -> str:
        return _digest_of(self.key, name)


@lru_cache(maxsize=64)
def _digest_of(key: bytes, name: str) -> str:
    """Return the digest of a name; that of an archive is asked for with each of its recordings, that of a stem with each of its files."""
    return hmac.digest(key, _OF_A_FILE + name.encode(errors="surrogatepass"), "sha256").hex()[:24]


def site_in(sites: Sequence[str], *paths: str) -> str | None:
    """Return the site in whose folder the first of these paths lies that lies in one; None where none does.

    A folder is a site in either normal form of Unicode, and nowhere but at the top: directly below the inbox, or in an archive.

    >>> site_in(("Ward 3",), "x.zip", "Ward 3/2026/r1.hea")
    'Ward 3'
    """
    known = {normal_name(site): site for site in sites}
    folders = (normal_name(path).partition("/") for path in paths)
    return next((known[first] for first, slash, _ in folders if slash and first in known), None)
