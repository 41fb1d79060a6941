"""Here: ``python -m tests.planted_night``: planted words through a stack of its own; every file that it leaves is searched.

Not here: the words and the search (``planted_files``, ``pipeline/test_identifiers``), which the suite has with the tasks alone.

A stack is started in a temporary folder, files of every format with words in every field are dropped, the night runs, and a backup is
made. Then these are searched: every object, all logs of all processes, the dump of the database as SQL, and every file of the backup with
its attributes. It takes some minutes, ends with 1 where a word stands outside the quarantine, and says where.
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from deploy.embedded import backup, postgres
from deploy.embedded.stack import Stack
from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.pipeline.intake import inbox
from ecg_tasks.queries import runs
from tests.pipeline.test_identifiers import dropped, found_in, objects_with_words
from tests.stacks import fresh_stack

_WITHIN_S = 900.0


def say(text: str) -> None:
    """Tell how far it is."""
    print(text, flush=True)  # noqa: T201


def wait(what: str, *, until: float, done: Iterator[bool]) -> None:
    """Wait until something is so."""
    for is_so in done:
        if is_so:
            say(f"{what}: done")
            return
        if time.monotonic() > until:
            raise TimeoutError(what)
        time.sleep(3)


def run_night(stack: Stack, store: ObjectStore) -> int:
    """Drop the files, let the scheduler run everything, and return how many were dropped."""
    files = dropped()
    inbox.put_files(files.items())
    until = time.monotonic() + _WITHIN_S
    wait("intake", until=until, done=(store.list_keys(f"{keys.MANIFESTS}ingest_records/") != [] for _ in iter(int, 1)))
    wait("empty inbox", until=until, done=(store.list_keys(keys.INBOX) == [] for _ in iter(int, 1)))
    wait("pictures", until=until, done=(store.list_keys(f"{keys.MANIFESTS}render_spectrograms/") != [] for _ in iter(int, 1)))
    with stack.airflow() as api:
        for dag in ("classify_records", "maintain_store"):
            run = api.trigger(dag)
            wait(dag, until=until, done=(api.run_state(dag, run) in {"success", "failed"} for _ in iter(int, 1)))
            say(f"{dag}: {api.run_state(dag, run)}; {api.note(dag, run)}")
    return len(files)


def words_in_backup(file: Path, folder: Path) -> Iterator[str]:
    """Yield the members of a backup that have a word; an object of the quarantine is known by its attributes."""
    with tarfile.open(file) as archive:
        for member in archive:
            content = archive.extractfile(member)
            data = content.read() if content else b""
            attributes = repr(member.pax_headers).encode("utf-8", "replace")
            if member.name == backup.DUMP:
                (folder / "dump").write_bytes(data)
                restore = [postgres.program("pg_restore"), "--file=-", str(folder / "dump")]
                data = subprocess.run(restore, capture_output=True, check=True).stdout
                say(f"dump: {len(data):,} bytes of SQL")
            found = found_in(attributes) | (set() if b"/quarantine/" in attributes else found_in(data))
            if found:
                yield f"backup: {member.name}: {sorted(found)}"


def main() -> int:
    """Run it all; returns the exit code."""
    with tempfile.TemporaryDirectory(prefix="ecg-planted-") as scratch:
        stack = fresh_stack(Path(scratch) / "home")
        for name in [name for name in os.environ if name.startswith(("AWS_", "ECG_", "AIRFLOW__"))]:
            del os.environ[name]
        os.environ["ECG_WFDB_GRACE_S"] = "0"
        file = Path(scratch) / "backup.tar"
        try:
            stack.up(say)
            before = dict(os.environ)
            os.environ.update(stack.environment())
            store = open_store()
            n_files = run_night(stack, store)
            found = objects_with_words(store)
            n_objects, n_reports = len(store.list_keys("")), runs.runs(store).total
            os.environ.clear()
            os.environ.update(before)
            stack.down()
            backup.back_up(stack, file, say)
        finally:
            stack.down()
        outside = [f"object: {key}: {sorted(words)}" for key, words in found.items() if not key.startswith(keys.QUARANTINE)]
        logs = [path for path in stack.home.logs.rglob("*") if path.is_file()]
        outside += [f"log: {path.name}: {sorted(words)}" for path in logs if (words := found_in(path.read_bytes()))]
        outside += words_in_backup(file, Path(scratch))
        n_quarantined = sum(key.startswith(keys.QUARANTINE) for key in found)
        say(f"{n_files} files dropped; {n_objects} objects, {n_reports} reports, {len(logs)} logs and a backup searched")
        say(f"{n_quarantined} objects of the quarantine have words; outside: {len(outside)}")
        say("\n".join(outside))
        return 1 if outside or not n_quarantined or not n_reports else 0


if __name__ == "__main__":
    sys.exit(main())
