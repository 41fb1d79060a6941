"""Here: reading bytes in one call, as tests of single formats need it."""

import warnings
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType

from ecg_tasks import readers
from ecg_tasks.readers.heartbeat_csv import HeartbeatCsvReader
from ecg_tasks.readers.leads import finish
from ecg_tasks.readers.wfdb.record import WfdbReader


@cache
def load_wfdb() -> ModuleType:
    """Import the wfdb package, which with pandas 3.1 warns of its own use of pandas: its readers are what ours are held against."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import wfdb
    module: ModuleType = wfdb
    return module


@readers.unwarned()
def read_wfdb(files: Mapping[str, bytes], *, header: str, name: str) -> readers.Read:
    """Read a WFDB recording; ``header`` names its header in ``files``."""
    found = WfdbReader().read({header: files.get(header, b"")} | dict(files), f"{name}.hea")
    return readers.Read(records=tuple(map(finish, found.recordings)), rejected=found.rejected)


def read_heartbeat_csv(data: bytes, *, name: str) -> readers.Read:
    """Read a heartbeat CSV."""
    found = HeartbeatCsvReader().read({name.rpartition("/")[2]: data}, name)
    return readers.Read(records=tuple(map(finish, found.recordings)), rejected=found.rejected)


def wfdb_files(header: bytes, *, name: str, segments: Mapping[str, bytes] = MappingProxyType({})) -> tuple[str, ...]:
    """Every file that a header needs, and that those segment headers need which are at hand."""
    reader = WfdbReader()
    names = dict.fromkeys(reader.companions(name, header).names)
    for segment in [one for one in names if one in segments]:
        names |= dict.fromkeys(reader.companions(segment, segments[segment]).names)
    return tuple(names)
