"""Here: ``put``, ``import``, ``download``: ways for recordings into the inbox. Not here: layouts of data sets (``labelled_folders``)."""

import os
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli.stack import running_stack
from ecg_tasks.cli.terminal import complain, console, say

if TYPE_CHECKING:
    from deploy.embedded import Stack
    from ecg_tasks.offline.labelled_folders import Content


class DataSet(StrEnum):
    """Data sets whose layout is known."""

    PTBXL = "ptbxl"
    PTBDB = "ptbdb"
    HEARTBEATS = "heartbeats"


class OnPhysioNet(StrEnum):
    """Data sets that wfdb's own downloader can fetch."""

    PTBDB = "ptbdb"
    PTBXL = "ptbxl"


def put(
    files: Annotated[list[Path], typer.Argument(help="Files or folders; a folder keeps its inner paths.", exists=True)],
    under: Annotated[str, typer.Option(help="Folder in the inbox.")] = "",
) -> None:
    """Drop files into the inbox under their own names. A WFDB recording needs its header and its signal files in one folder."""
    stack = running_stack()
    n_files = drop(stack, list(_named(files, under)))
    say(f"{n_files} files are in the inbox; ingest_records takes them over within some seconds")


def import_(
    dataset: Annotated[DataSet, typer.Argument(help="Layout of the folder.")],
    folder: Annotated[Path, typer.Argument(help="Where the data set lies.", exists=True, file_okay=False)],
) -> None:
    """Write a data set into the inbox, with a labels.csv (label, patient, age in years, sex).

    ptbxl: 500 Hz recordings where present, else 100 Hz. ptbdb: every recording below the patients' folders.
    heartbeats: the CSV files with 187 samples at 125 Hz and the label in column 188.
    """
    from ecg_tasks.offline.labelled_folders import LAYOUTS

    stack = running_stack()
    found = LAYOUTS[dataset.value](folder)
    unlabelled = [one for one in found.rejected if found.files.get(one.name) is not None]
    for one in unlabelled[:_MOST_SHOWN]:
        complain(f"{one.message}; the recording goes in without label and patient")
    if len(unlabelled) > _MOST_SHOWN:
        complain(f"{len(unlabelled) - _MOST_SHOWN} more recordings go in so")
    n_files = drop_packed(stack, found.for_inbox())
    say(f"{n_files} files are in the inbox; ingest_records takes them over within some seconds")


def download(
    dataset: Annotated[OnPhysioNet, typer.Argument(help="Which data set.")],
    folder: Annotated[Path, typer.Argument(help="Where to; files that are there already whole are not fetched again.", file_okay=False)],
) -> None:
    """Fetch a data set from PhysioNet (ptbdb: 1.7 GB, ptbxl: 3 GB); begun again, it goes on where it stopped."""
    import wfdb

    from ecg_tasks.readers.file_names import HEADER_SUFFIX

    folder.mkdir(parents=True, exist_ok=True)
    release = _RELEASES[dataset]
    try:
        names = wfdb.get_record_list(release)
        if dataset is OnPhysioNet.PTBXL:  # the same hearts at 100 Hz add nothing
            names = [name for name in names if name.startswith("records500/")]
        headers = [f"{name}{HEADER_SUFFIX}" for name in names]
        wfdb.dl_files(release, str(folder), headers + _TABLES[dataset])
        wfdb.dl_files(release, str(folder), _signal_files(folder, headers))
    except Exception as error:  # wfdb lets every error of the libraries below it through
        complain(f"{dataset.value} could not be fetched from PhysioNet ({error}); is this machine connected to the network?")
        raise typer.Exit(1) from error
    say(f"fetched; next: ./ecg import {dataset.value} {folder}")


_MOST_SHOWN = 20
"""Rows that could not be understood, each in its own sentence."""
_RELEASES = {OnPhysioNet.PTBDB: "ptbdb", OnPhysioNet.PTBXL: "ptb-xl"}


_TABLES = {OnPhysioNet.PTBDB: [], OnPhysioNet.PTBXL: ["ptbxl_database.csv", "scp_statements.csv", "LICENSE.txt"]}


def _signal_files(folder: Path, headers: list[str]) -> list[str]:
    """List what the headers name, each file once: wfdb's ``dl_database`` lists a file once a signal, and fetches its rest as often."""
    from ecg_tasks.readers.wfdb.record import WfdbReader

    reader = WfdbReader()
    named = [Path(header).with_name(file) for header in headers for file in reader.companions(header, (folder / header).read_bytes()).names]
    return list(dict.fromkeys(path.as_posix() for path in named))


def drop(stack: "Stack", files: "list[tuple[str, Content]]") -> int:
    """Put files into the inbox of a stack, in a safe order; returns how many."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from ecg_tasks.actions.inbox import FILES_AT_ONCE, put_in_order

    os.environ.update(stack.environment())
    columns = (TextColumn("into the inbox"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(), disable=len(files) < FILES_AT_ONCE or not console().is_terminal) as shown:
        bar = shown.add_task("", total=len(files))
        return put_in_order(files, progress=lambda n_files: shown.update(bar, completed=n_files))


def drop_packed(stack: "Stack", files: "list[tuple[str, Content]]") -> int:
    """Put a collection into the inbox of a stack in a few archives, with a line or a step of a bar for each; returns how many files."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from ecg_tasks.actions.inbox import FILES_AT_ONCE
    from ecg_tasks.actions.packed_drop import Sent, put_packed

    if len(files) < FILES_AT_ONCE:
        return drop(stack, files)
    os.environ.update(stack.environment())
    columns = (TextColumn("into the inbox"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console(), disable=not console().is_terminal) as shown:
        bar = shown.add_task("", total=len(files))

        def tell(n_files: int, sent: Sent | None) -> None:
            shown.update(bar, completed=n_files)
            if sent is not None and not console().is_terminal:
                what = "sent" if sent.is_new else "was there before"
                say(f"{n_files:,} of {len(files):,} files; an archive of {sent.n_bytes / 1e6:,.0f} MB {what}")

        put_packed(files, progress=tell)
    return len(files)


def _named(paths: Iterable[Path], under: str) -> "Iterator[tuple[str, Content]]":
    for path in paths:
        whole = path.resolve()
        for file in sorted(inner for inner in whole.rglob("*") if inner.is_file()) if whole.is_dir() else [whole]:
            yield (Path(under.strip("/")) / file.relative_to(whole.parent)).as_posix(), file
