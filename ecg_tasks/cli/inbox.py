"""Here: ``put``, ``import``, ``download``: ways for recordings into the inbox. Not here: layouts of data sets (``labelled_folders``)."""

import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.stack import running_stack
from ecg_tasks.cli.terminal import complain, console, for_a_program, pace, progress, say
from ecg_tasks.counts import number_of
from ecg_tasks.errors import StoreError

if TYPE_CHECKING:
    from deploy.embedded import Stack
    from ecg_tasks.offline.labelled_folders import Content, LabelledFolder


class DataSet(StrEnum):
    """Data sets whose layout is known."""

    AUTO = "auto"
    PTBXL = "ptbxl"
    PTBDB = "ptbdb"
    CINC = "cinc"
    CHAPMAN = "chapman"
    CODE15 = "code15"
    MIMIC_IV_ECG = "mimic_iv_ecg"
    SPH = "sph"
    LUDB = "ludb"
    HEARTBEATS = "heartbeats"
    LABELLED = "labelled"


class OnPhysioNet(StrEnum):
    """Data sets that PhysioNet serves to anybody."""

    PTBDB = "ptbdb"
    PTBXL = "ptbxl"
    CINC2020 = "cinc2020"
    CINC2021 = "cinc2021"
    CHAPMAN = "chapman"
    LUDB = "ludb"
    MIMIC_IV_ECG = "mimic_iv_ecg"


def put(
    files: Annotated[list[Path], typer.Argument(help="Files or folders; a folder keeps its inner paths.", exists=True)],
    under: Annotated[str, typer.Option(help="Folder in the inbox.")] = "",
    *,
    wait: Annotated[
        bool, typer.Option("--wait", help="Wait until they are decided on, and print the decisions; exits with 1 where a run failed.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: files, bytes, names below inbox/; with --wait also run, state, note, answers.")
    ] = False,
) -> None:
    """Drop files into the inbox under their own names. A WFDB recording needs its header and its signal files in one folder."""
    from rich.filesize import decimal

    from ecg_tasks.cli import decisions

    with for_a_program(as_json) as answer:
        stack = running_stack()
        named = list(_named(files, under))
        n_bytes = sum(file.stat().st_size for _, file in named)
        before = decisions.before_a_drop(stack) if wait else frozenset[str]()
        n_files = drop(stack, named)
        told: dict[str, object] = {"files": n_files, "bytes": n_bytes, "names": [name for name, _ in named]}
        then = "waiting for the decisions" if wait else "ingest_records takes them over within some seconds"
        say(f"{number_of(n_files, 'file is', 'files are')} in the inbox ({decimal(n_bytes)}); {then}")
        decided = decisions.wait_for_them(stack, [name for name, _ in named], before=before) if wait else None
        if as_json:
            answer(told | ({} if decided is None else decided.as_json()))
        elif decided is not None:
            decided.show()
        if decided is not None and decided.state != "success":
            complain(f"{decided.run} {decided.state}; its tasks and their logs are in the web interface (./ecg open)")
            raise typer.Exit(1)


def import_(
    dataset: Annotated[DataSet, typer.Argument(help="Layout of the folder; auto finds out.")],
    folder: Annotated[Path, typer.Argument(help="Where the data set lies.", exists=True, file_okay=False)],
) -> None:
    """Write a data set into the inbox, with a labels.csv (label, patient, age in years, sex, classes, fold, collection).

    ptbxl: 500 Hz recordings where present, else 100 Hz. ptbdb: every recording below the patients' folders.
    cinc: the Challenges 2020 and 2021. chapman: PhysioNet's ecg-arrhythmia, or figshare's ECGData.
    code15: with a signals.json that has the unit.
    heartbeats: the CSV files with 187 samples at 125 Hz and the label in column 188. labelled: files with a labels.csv.
    What each label is made of: docs/collections.md.
    """
    from ecg_tasks.actions.packed_drop import in_its_own_folder
    from ecg_tasks.offline.labelled_folders import LAYOUTS, open_folder

    stack = running_stack()
    found = open_folder(folder) if dataset is DataSet.AUTO else LAYOUTS[dataset.value](folder)
    if dataset is DataSet.AUTO:
        say(f"reading {folder} as {found.kind}")
    unlabelled = [one for one in found.rejected if found.files.get(one.name) is not None]
    for one in unlabelled[:_MOST_SHOWN]:
        complain(f"{one.message}; the recording goes in without label and patient")
    if len(unlabelled) > _MOST_SHOWN:
        complain(f"{len(unlabelled) - _MOST_SHOWN:,} more recordings go in without label and patient")
    show_labels(found)
    files = in_its_own_folder(found.for_inbox())
    n_files = drop_packed(stack, files)
    say(f"{number_of(n_files, 'file is', 'files are')} in the inbox; ingest_records takes over within seconds")


def show_labels(found: "LabelledFolder") -> None:
    """Show how many recordings have which label, how many are missing, and which statements are not in the collection's table."""
    if counts := found.counts():
        say(f"labels: {', '.join(f'{number:,} {name}' for name, number in sorted(counts.items()))}")
    if n_missing := sum(path is None for path in found.files.values()):
        say(f"{number_of(n_missing, 'file', 'files')} that the data set lists {'is' if n_missing == 1 else 'are'} not in the folder")
    show_unknown(found.unknown)


def show_unknown(unknown: Mapping[str, int]) -> None:
    """Show the statements that a collection's table does not have."""
    if unknown:
        most = sorted(unknown.items(), key=lambda one: (-one[1], one[0]))[:_MOST_SHOWN]
        shown = "; ".join(f"{statement[:80]!r} of {number:,} recordings" for statement, number in most)
        complain(
            f"statements that are not in the collection's table, so a recording with one of them is never normal: {len(unknown):,}: {shown}"
        )


def download(
    dataset: Annotated[OnPhysioNet, typer.Argument(help="Which data set.")],
    folder: Annotated[Path, typer.Argument(help="Where to; files that are there already whole are not fetched again.", file_okay=False)],
) -> None:
    """Fetch a data set from PhysioNet (ptbdb: 1.7 GB, ptbxl: 3 GB); started again, it continues where it stopped.

    Every file is checked against PhysioNet's own list of SHA-256 sums.
    """
    from ecg_tasks.offline import physionet

    release = physionet.RELEASES[dataset.value]
    say(f"{release.slug} {release.version}, {release.licence}")
    try:
        with progress("from PhysioNet") as tell:
            got = physionet.fetch(release, folder, address=physionet.ADDRESS, progress=tell)
    except StoreError as error:
        complain(f"{dataset.value} could not be fetched from PhysioNet ({error}); is this machine connected to the network?")
        raise typer.Exit(1) from error
    layout = "cinc" if dataset.value.startswith("cinc") else dataset.value
    say(f"{got.n_fetched:,} of {got.n_files:,} files were downloaded, and all are complete; next: ./ecg import {layout} {folder}")


_MOST_SHOWN = 20
"""Rows that could not be understood, each in its own sentence; and statements that are not known."""


def drop(stack: "Stack", files: "Sequence[tuple[str, Content]]") -> int:
    """Put files into the inbox of a stack, in a safe order; returns how many."""
    from ecg_tasks.actions.inbox import FILES_AT_ONCE, put_in_order

    os.environ.update(stack.environment())
    with progress("into the inbox", shown=len(files) >= FILES_AT_ONCE) as tell:
        return put_in_order(files, progress=lambda n_files: tell(n_files, len(files)))


def drop_packed(stack: "Stack", files: "list[tuple[str, Content]]") -> int:
    """Put a collection into the inbox of a stack in a few archives, with a line or a step of a bar for each.

    Returns how many files are there, without those that were taken over before.
    """
    from ecg_tasks.actions.inbox import FILES_AT_ONCE
    from ecg_tasks.actions.packed_drop import Sent, put_packed

    if len(files) < FILES_AT_ONCE:
        return drop(stack, files)
    os.environ.update(stack.environment())
    began = time.monotonic()
    with progress("into the inbox", shown=console().is_terminal) as tell:  # a log has a line for each archive

        def tell_of(n_files: int, sent: Sent | None) -> None:
            tell(n_files, len(files))
            if sent is not None and not console().is_terminal:
                what = "sent" if sent.is_new else f"was taken over by {sent.before}" if sent.before else "was there before"
                left = f" ({pace(n_files, len(files), time.monotonic() - began)})" if n_files < len(files) else ""
                say(f"{n_files:,} of {len(files):,} files{left}; an archive of {sent.n_bytes / 1e6:,.0f} MB {what}")

        sent = put_packed(files, progress=tell_of)
    n_before = sum(one.n_files for one in sent if one.before)
    if n_before:
        say(f"taken over before, and not sent again: {number_of(n_before, 'file', 'files')}")
    return len(files) - n_before


def _named(paths: Iterable[Path], under: str) -> Iterator[tuple[str, Path]]:
    for path in paths:
        whole = path.resolve()
        for file in sorted(inner for inner in whole.rglob("*") if inner.is_file()) if whole.is_dir() else [whole]:
            yield (Path(under.strip("/")) / file.relative_to(whole.parent)).as_posix(), file
