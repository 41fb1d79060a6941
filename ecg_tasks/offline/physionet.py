"""Here: fetching a data set that PhysioNet serves openly: whole files, checked by its sums, on from where it stopped. Not here: layouts.

A file is written beside its place as ``.part`` and moved there once its SHA-256 is right. Nothing is fetched that is there already.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING
from urllib.parse import quote

from ecg_tasks.errors import BadInputError, Reason, StoreError

if TYPE_CHECKING:
    from ssl import SSLContext

    import httpx

ADDRESS = "https://physionet.org/files/"
SUMS = "SHA256SUMS.txt"
AT_ONCE = 4
"""Files that are fetched at the same time."""
_TRIES = 5
_WAIT_S = 1.0
"""Before the second try; twice as long before each further one."""
_SUM = re.compile(r"([0-9a-f]{64})[ \t]+\*?(\S.*)", re.ASCII)
_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_RANGE = re.compile(r"bytes (\d+)-")
_OK, _PARTIAL, _NOT_SATISFIABLE = 200, 206, 416


@dataclass(frozen=True, kw_only=True)
class Release:
    """A version of a data set at PhysioNet.

    Parameters
    ----------
    slug, version : as in its address
    wanted : which of its files are fetched: a pattern of their paths; the tables, the licence and the recordings
    licence : as its page says
    """

    slug: str
    version: str
    wanted: str
    licence: str


_RECORDINGS = r".*\.(hea|dat|mat|xyz)"
_PAPERS = r"LICENSE\.txt|README.*|RECORDS"
RELEASES = {
    "ptbxl": Release(
        slug="ptb-xl", version="1.0.3", wanted=r"records500/.*|(ptbxl_database|scp_statements)\.csv|LICENSE\.txt", licence="CC BY 4.0"
    ),
    "ptbdb": Release(slug="ptbdb", version="1.0.0", wanted=rf"patient.*/{_RECORDINGS}|{_PAPERS}", licence="ODC-By 1.0"),
    "cinc2020": Release(slug="challenge-2020", version="1.0.2", wanted=rf"{_RECORDINGS}|{_PAPERS}", licence="CC BY 4.0"),
    "cinc2021": Release(slug="challenge-2021", version="1.0.3", wanted=rf"{_RECORDINGS}|{_PAPERS}", licence="CC BY 4.0"),
    "chapman": Release(
        slug="ecg-arrhythmia", version="1.0.0", wanted=rf"WFDBRecords/{_RECORDINGS}|ConditionNames.*\.csv|{_PAPERS}", licence="CC BY 4.0"
    ),
    "ludb": Release(slug="ludb", version="1.0.1", wanted=rf"data/{_RECORDINGS}|ludb\.csv|{_PAPERS}", licence="ODC-By 1.0"),
    "mimic_iv_ecg": Release(
        slug="mimic-iv-ecg",
        version="1.0",
        wanted=rf"files/{_RECORDINGS}|(record_list|machine_measurements)\.csv|{_PAPERS}",
        licence="ODbL 1.0",
    ),
}
"""By the name that the data set has in commands. PTB-XL's recordings at 100 Hz are the same hearts again."""


@dataclass(frozen=True, kw_only=True)
class Fetched:
    """How many files a data set has here, and how many of them were fetched now."""

    n_files: int
    n_fetched: int


@dataclass(frozen=True, kw_only=True)
class _Listed:
    path: str
    sha256: str


def fetch(
    release: Release,
    folder: Path,
    *,
    address: str = ADDRESS,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    wait_s: float = _WAIT_S,
) -> Fetched:
    """Fetch what is wanted of a data set, several files at a time, and check each against the list of sums that comes with it.

    Parameters
    ----------
    folder : where to; what is there in part is fetched from where it ends, where the server can do that
    progress : called with the number of files that are whole, and of all files
    wait_s : before a second try

    Raises
    ------
    StoreError
        If the server does not answer, or does not have a file; called again, it goes on where it stopped.
    BadInputError
        ``checksum_mismatch`` for a file whose bytes are not those of the list; ``unsafe_path``.
    """
    import httpx

    base = f"{address}{release.slug}/{release.version}/"
    with httpx.Client(
        follow_redirects=True,
        timeout=60,
        limits=httpx.Limits(max_connections=AT_ONCE),
        verify=_trusted(),
        headers={"Accept-Encoding": "identity"},  # what is stored as a .gz must arrive as one, and lengths must be those of the file
    ) as client:
        wanted = [one for one in _listed(_text(client, base + SUMS, wait_s=wait_s)) if re.fullmatch(release.wanted, one.path)]
        if not wanted:
            raise StoreError(f"{base}{SUMS} names none of the files of {release.slug} {release.version}")
        targets = [_target(folder, one.path) for one in wanted]
        fetcher = _Fetcher(client, base, wait_s)
        n_fetched = 0
        with ThreadPoolExecutor(AT_ONCE) as pool:
            try:
                for done, fetched in enumerate(_in_turn(pool, fetcher, wanted, targets), start=1):
                    n_fetched += fetched
                    progress(done, len(wanted))
            except BaseException:
                fetcher.stop.set()
                raise
    return Fetched(n_files=len(wanted), n_fetched=n_fetched)


def _in_turn(pool: ThreadPoolExecutor, fetcher: "_Fetcher", wanted: Sequence[_Listed], targets: Sequence[Path]) -> Iterator[bool]:
    """Yield for each file whether it was fetched; at most some hundred wait in the pool at a time."""
    some = 100
    for first in range(0, len(wanted), some):
        yield from pool.map(fetcher.fetch, wanted[first : first + some], targets[first : first + some])


class _Fetcher:
    """Fetches single files, in several threads at once."""

    def __init__(self, client: "httpx.Client", base: str, wait_s: float) -> None:
        self._client = client
        self._base = base
        self._wait_s = wait_s
        self.stop = Event()

    def fetch(self, file: _Listed, target: Path) -> bool:
        """Fetch a file unless it is there; returns whether it was fetched."""
        if self.stop.is_set():
            return False
        if target.is_file() and _sha256(target) == file.sha256:
            return False
        part = target.with_name(f"{target.name}.part")
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file():  # cut off, or another version's
            target.replace(part)
        n_wrong = 0
        for wait in _waits(self._wait_s):
            begun = part.stat().st_size if part.is_file() else 0
            why = self._get(file.path, part, begun)
            if why is None and _sha256(part) == file.sha256:
                part.replace(target)
                return True
            if why is None:
                part.unlink()
                n_wrong += not begun
                why = "its bytes do not match the list of checksums"
            if n_wrong > 1:
                message = f"{self._base}{file.path} was fetched twice, and did not match its SHA-256 in {SUMS}; it was not kept"
                raise BadInputError(Reason.CHECKSUM_MISMATCH, message)
            if self.stop.wait(wait):
                return False
        raise StoreError(f"{self._base}{file.path} could not be fetched: {why}")

    def _get(self, path: str, part: Path, begun: int) -> str | None:
        """Append the rest of a file to what there is of it; returns why not, or None where the server sent all it wanted."""
        import httpx

        headers = {"Range": f"bytes={begun}-"} if begun else {}
        try:
            with self._client.stream("GET", self._base + quote(path), headers=headers) as answer:
                if answer.status_code == _NOT_SATISFIABLE:
                    return None  # all of it is there, or more: its sum tells
                if answer.status_code in _TRY_AGAIN:
                    return f"the server answers {answer.status_code}"
                if answer.status_code not in {_OK, _PARTIAL}:
                    raise StoreError(f"{self._base}{path}: the server answers {answer.status_code}")
                starts = _RANGE.match(answer.headers.get("Content-Range", ""))
                goes_on = answer.status_code == _PARTIAL and starts is not None and int(starts[1]) == begun
                with part.open("ab" if goes_on else "wb") as out:
                    for block in answer.iter_raw():  # as it comes: blocks of a size are held back until they are full
                        out.write(block)
                        if self.stop.is_set():
                            return "it was stopped"
        except httpx.TransportError as error:
            return type(error).__name__
        return None


def _text(client: "httpx.Client", address: str, *, wait_s: float) -> str:
    import httpx

    why = ""
    for wait in _waits(wait_s):
        try:
            answer = client.get(address)
        except httpx.TransportError as error:
            why = type(error).__name__
        else:
            if answer.status_code == _OK:
                return answer.text
            why = f"the server answers {answer.status_code}"
            if answer.status_code not in _TRY_AGAIN:
                break
        time.sleep(wait)
    raise StoreError(f"{address} could not be fetched: {why}")


@cache
def _trusted() -> "SSLContext":
    """Return the authorities that a server is known by; to read them takes longer than a small file."""
    import httpx

    return httpx.create_ssl_context()


def _waits(first_s: float) -> list[float]:
    return [first_s * 2**number for number in range(_TRIES)]


def _listed(sums: str) -> list[_Listed]:
    """Return the files of a list as ``sha256sum`` writes it."""
    found = (_SUM.fullmatch(line.strip()) for line in sums.splitlines())
    return [_Listed(path=one[2].removeprefix("./"), sha256=one[1]) for one in found if one is not None]


def _target(folder: Path, path: str) -> Path:
    """Return where a file goes, which must be in the folder."""
    parts = path.split("/")
    if any(part in {"", ".", ".."} for part in parts) or "\\" in path or not path.isprintable():
        raise BadInputError(Reason.UNSAFE_PATH, f"the list of checksums names {path[:200]!r}, which is not a plain relative path")
    return folder.joinpath(*parts)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
