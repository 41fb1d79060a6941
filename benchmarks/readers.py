"""Here: the processor time of reading one recording in every format, beside the plain library's. Not here: the files
(``written_files``, and ``tests.hospital_files`` for the formats of hospitals).

The recording has twelve leads of 10 s at 500 Hz; MUSE stores eight of them. ``read`` is the reader alone, ``record`` all the way to a
record: checked, in mV, under the standard names. A plain library reads the same bytes to an array, and checks nothing.
"""

import io
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.processes import Work, in_own_process
from benchmarks.written_files import WRITERS, Files, made
from tests.hospital_files import FORMATS

MOST_MS = {"wfdb": 2.0, "edf": 2.0, "numpy": 2.0, "matlab": 2.0, "hdf5": 2.0, "dicom": 4.0}
MOST_MS |= {"muse_xml": 4.0, "aecg_xml": 4.0, "cardiosoft_xml": 4.0, "philips_xml": 10.0, "scp_ecg": 10.0}
"""Milliseconds of processor time that reading one recording may take."""


def written() -> dict[str, Files]:
    """Write one recording for every reader, by the reader's name."""
    one = made()
    return {name: write(one) for name, write in WRITERS.items()} | {
        each.reader: {f"r{each.suffix}": each.write(each.strip)} for each in FORMATS.values()
    }


def measure(n_times: int) -> dict[str, Any]:
    """Measure milliseconds, the least of so many times, and bytes a second by reader."""
    return {"n_times": n_times, **in_own_process(time_readers, n_times=n_times).result}


def print_readers(console: Console, found: Mapping[str, Any]) -> None:
    """Print a row for each reader."""
    table = Table(title="Reading twelve leads of 10 s at 500 Hz: processor time a recording, one core", title_justify="left")
    table.add_column("format")
    for column in ("bytes", "read, ms", "to a record, ms", "MB/s", "plain library", "its ms", "its MB/s", "at most, ms"):
        table.add_column(column, justify="right")
    for name, taken in found["formats"].items():
        most = MOST_MS.get(name)
        table.add_row(
            name,
            f"{taken['n_bytes']:,}",
            f"{taken['read_ms']:.2f}",
            f"{taken['record_ms']:.2f}",
            f"{taken['bytes_per_s'] / 1e6:.0f}",
            *_of_the_library(taken),
            "" if most is None else f"{most:g}",
        )
    console.print(table)


def _of_the_library(taken: Mapping[str, Any]) -> tuple[str, str, str]:
    if "library" not in taken:
        return "", "", ""
    return taken["library"], f"{taken['library_ms']:.2f}", f"{taken['library_bytes_per_s'] / 1e6:.0f}"


def time_readers(n_times: int) -> Work:
    """Case: every reader, on the same recording."""

    def work() -> dict[str, Any]:
        from ecg_tasks import readers

        formats = {}
        files_by_reader = written()
        for reader in readers.READERS:
            files = files_by_reader[reader.name]
            name = next(iter(files))
            n_bytes = sum(map(len, files.values()))
            read_ms = _milliseconds(lambda reader=reader, files=files, name=name: reader.read(files, name), n_times)  # type: ignore[misc]
            record_ms = _milliseconds(lambda files=files, name=name: readers.read(name, files), n_times)  # type: ignore[misc]
            beside: dict[str, Any] = {}
            if reader.name in _LIBRARIES:
                beside["library"], plain = _LIBRARIES[reader.name]
                beside["library_ms"] = _timed_on_disk(plain, files, n_times)
                beside["library_bytes_per_s"] = 1000 * n_bytes / beside["library_ms"]
            formats[reader.name] = {
                "n_bytes": n_bytes,
                "read_ms": read_ms,
                "record_ms": record_ms,
                "bytes_per_s": 1000 * n_bytes / read_ms,
            } | beside
        return {"formats": formats}

    return work


def _timed_on_disk(plain: Callable[[Files, Path], object], files: Files, n_times: int) -> float:
    """Return the milliseconds of a library that reads files, or their bytes."""
    with tempfile.TemporaryDirectory(prefix="ecg-bench-") as folder:
        for called, data in files.items():
            Path(folder, called).write_bytes(data)
        return _milliseconds(lambda: plain(files, Path(folder)), n_times)


def _milliseconds(do: Callable[[], object], n_times: int) -> float:
    """Return the least that one of so many times took, behind a first one: what else the machine does only adds to it."""
    taken = []
    for _ in range(n_times + 1):
        start = time.process_time()
        do()
        taken.append(time.process_time() - start)
    return max(1000 * min(taken[1:]), 1e-6)


def _wfdb(_: Files, folder: Path) -> object:
    import wfdb

    return wfdb.rdrecord(str(folder / "r")).p_signal


def _pydicom(files: Files, _: Path) -> object:
    import pydicom

    return pydicom.dcmread(io.BytesIO(next(iter(files.values())))).waveform_array(1)


def _edfio(files: Files, _: Path) -> object:
    import edfio

    return [signal.data for signal in edfio.read_edf(next(iter(files.values()))).signals]


def _numpy(files: Files, _: Path) -> object:
    import numpy as np

    return np.load(io.BytesIO(next(iter(files.values()))))


def _scipy(files: Files, _: Path) -> object:
    import scipy.io

    return scipy.io.loadmat(io.BytesIO(next(iter(files.values()))))["ecg"]  # type: ignore[arg-type]  # a stream, too


def _h5py(files: Files, _: Path) -> object:
    import h5py

    with h5py.File(io.BytesIO(next(iter(files.values()))), "r") as file:
        return file["ecg"][()]


def _pyarrow(files: Files, _: Path) -> object:
    import pyarrow as pa
    from pyarrow import parquet

    return parquet.read_table(pa.BufferReader(next(iter(files.values())))).to_pandas().to_numpy()


def _pandas(files: Files, _: Path) -> object:
    import pandas as pd

    return pd.read_csv(io.BytesIO(next(iter(files.values())))).to_numpy()


_LIBRARIES: Mapping[str, tuple[str, Callable[[Files, Path], object]]] = {
    "wfdb": ("wfdb", _wfdb),
    "dicom": ("pydicom", _pydicom),
    "edf": ("edfio", _edfio),
    "numpy": ("NumPy", _numpy),
    "matlab": ("SciPy", _scipy),
    "hdf5": ("h5py", _h5py),
    "lead_parquet": ("pyarrow", _pyarrow),
    "lead_csv": ("pandas", _pandas),
    "heartbeat_csv": ("pandas", _pandas),
}
"""By the name of the reader: a library that reads the same bytes, and how. A format with a file but no library has none beside it."""
