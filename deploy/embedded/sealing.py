"""Here: files that only the holder of a key reads, in the format of age (age-encryption.org/v1). Not here: what is in them (``backup``).

The program ``age`` reads and makes the same files and keys: ``age --decrypt --identity KEYFILE FILE``.
"""

import io
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import IO

import pyrage  # type: ignore[import-untyped] # it has no types

from deploy.embedded.errors import StackError

_MAGIC = b"age-encryption.org/v1\n"
_SECRET = "AGE-SECRET-KEY-"  # noqa: S105 - how a key begins
_PIECE = 1024 * 1024


def recipients(environ: Mapping[str, str] = os.environ) -> list[pyrage.x25519.Recipient]:
    """Return the public keys for which backups are encrypted (``ECG_BACKUP_RECIPIENTS``, with blanks between); none: they are not.

    Raises
    ------
    StackError
        If one of them is no public key of age.
    """
    found = []
    for place, word in enumerate(environ.get("ECG_BACKUP_RECIPIENTS", "").split(), start=1):
        try:
            found.append(pyrage.x25519.Recipient.from_str(word))
        except pyrage.RecipientError as error:  # told without the word, which may be a secret key by mistake
            raise StackError(f"key {place} of ECG_BACKUP_RECIPIENTS is no public key of age (age1…): {error}") from None
    return found


def make_key(file: Path) -> str:
    """Write a new secret key into a file that is not there and that only its owner may read; returns the public key.

    Raises
    ------
    StackError
        If there is a file already: the backups of its key could never be read again.
    """
    identity = pyrage.x25519.Identity.generate()
    public = str(identity.to_public())
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise StackError(f"{file} is there already, and stays: what was encrypted for its key could not be read without it") from None
    with os.fdopen(descriptor, "w") as target:
        target.write(f"# created: {datetime.now(UTC).isoformat(timespec='seconds')}\n# public key: {public}\n{identity}\n")
        target.flush()
        os.fsync(target.fileno())
    return public


def is_sealed(file: Path) -> bool:
    """Return whether a file is encrypted, by its first bytes."""
    with file.open("rb") as source:
        return source.read(len(_MAGIC)) == _MAGIC


@contextmanager
def sealed(target: IO[bytes], keys: list[pyrage.x25519.Recipient]) -> Iterator[IO[bytes]]:
    """Yield a file that is written once from its start; ``target`` gets it encrypted for each of ``keys``, and nothing in the clear."""
    reading, writing = os.pipe()
    source = os.fdopen(reading, "rb")
    helper = _Helper(lambda: pyrage.encrypt_io(source, target, keys), source)
    content = os.fdopen(writing, "wb", buffering=_PIECE)
    broken = None
    try:
        yield content
        content.close()
    except BrokenPipeError as error:  # the target did not take it; the helper knows why
        broken = error
    finally:
        with suppress(OSError):
            content.close()
        helper.join()
    if helper.error is not None:
        raise StackError(f"it could not be written encrypted: {helper.error}")
    if broken is not None:
        raise broken


@contextmanager
def opened(file: Path, identity: Path | None) -> Iterator[IO[bytes]]:
    """Yield the content of a file, which is decrypted where it is encrypted, to be read once from its start.

    Raises
    ------
    StackError
        If it is encrypted and there is no key to it; before anything of it is read. Or, at the end, if it was changed or cut.
    """
    if not is_sealed(file):
        with file.open("rb") as source:
            yield source
        return
    if identity is None:
        raise StackError(f"{file} is encrypted: name the file with its secret key by --identity; without that key nobody can read it")
    keys = _secret_keys(identity)
    reading, writing = os.pipe()
    target = os.fdopen(writing, "wb")
    with file.open("rb") as source:
        helper = _Helper(lambda: pyrage.decrypt_io(source, target, keys), target)
        try:
            with io.BufferedReader(io.FileIO(reading), _PIECE) as content:
                if content.peek(1):
                    yield content
                    while content.read(_PIECE):
                        pass
        finally:
            helper.join()
    if helper.error is not None:
        if "No matching keys" in str(helper.error):
            raise StackError(
                f"no key in {identity} opens {file}: it was encrypted for another one, and where that is lost, nobody can read it; "
                "nothing was restored"
            )
        raise StackError(f"{file} is no whole backup: {helper.error}")


def _secret_keys(identity: Path) -> list[pyrage.x25519.Identity]:
    try:
        lines = identity.read_text().splitlines()
        found = [pyrage.x25519.Identity.from_str(line.strip()) for line in lines if line.startswith(_SECRET)]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as error:
        raise StackError(f"the secret key in {identity} cannot be read: {error}") from None
    if not found:
        raise StackError(f"{identity} holds no secret key of age (a line that begins with {_SECRET})")
    return found


class _Helper(Thread):
    """Does the arithmetic beside the program that reads or writes; closes its end of the pipe, whatever comes of it."""

    def __init__(self, work: Callable[[], None], end: IO[bytes]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self._end = end
        self.error: Exception | None = None
        self.start()

    def run(self) -> None:
        try:
            self._work()
        except Exception as error:  # noqa: BLE001 - raised again by whoever waits for it
            self.error = error
        finally:
            try:
                self._end.close()
            except OSError as error:  # the reader went away with something unwritten
                self.error = self.error or error
