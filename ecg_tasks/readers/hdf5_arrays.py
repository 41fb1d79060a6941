"""Here: HDF5 files with one array of signals, and those of CODE-15. Not here: what stands on an array's axes (``arrays``).

HDF5 can point to other files and load filters from a disk: neither is followed. Only what lies in the file itself, plain or deflated, is
read, and every length is held against the bytes that are there before memory is taken.
"""

import io
import math
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers import arrays
from ecg_tasks.readers.base import Acquisition, Companions, Reading, Recording, Rejected
from ecg_tasks.readers.file_names import sidecars_of
from ecg_tasks.readers.hdf5_heaps import check_heaps
from ecg_tasks.readers.sidecar import Described, described, missing, with_sidecars
from ecg_tasks.signals.record import STANDARD_LEADS

MAGIC = b"\x89HDF\r\n\x1a\n"
CODE15 = "tracings"
"""The array of a CODE-15 file (Ribeiro et al. 2021); ``exam_id`` beside it names its recordings. The unit stands nowhere in it."""
EXAMS = "exam_id"
CODE15_FS = 400.0
_CODE15_SHAPE = (4096, 12)
_CODE15_SAMPLES = (2800, 4000)
"""Seven or ten seconds in the middle; what is before and behind them was filled with zeros."""
_MAX_MEMBERS = 256
_MAX_CHUNKS = 20_000
_MAX_CHUNK_BYTES = 64 * 1024 * 1024
_SMALL_VALUES = 4096
_DEFLATE_RATIO = 1032
"""Deflate makes at most so many bytes of one."""
_HARMLESS_BYTES = 64 * 1024 * 1024
_FILTERS = frozenset({1, 2, 3})
"""Deflate, shuffle and Fletcher's checksum, which are part of HDF5; any other might be loaded from a disk."""


class Hdf5Reader:
    """Arrays of signals in HDF5."""

    name = "hdf5"
    title = "an HDF5 file"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - the first bytes tell it
        """Tell a file by its first bytes."""
        return head.startswith(MAGIC)

    def companions(self, name: str, data: bytes) -> Companions:  # noqa: ARG002 - few say all by themselves
        """Tell which sidecars may be there."""
        return Companions(optional=sidecars_of(name))

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read the only array of signals among the file's own, or the recordings of CODE-15, each under its exam's number.

        Attributes of the array and of the file, and small arrays, called ``fs``, ``unit`` or ``leads`` describe it; a sidecar adds to that.
        A recording of CODE-15 that is nothing but zeros is rejected by itself.

        Raises
        ------
        BadInputError
            ``unit_unknown`` with the line to write; ``unreadable``; ``too_large``; ``not_numeric``; ``incomplete``.

        References
        ----------
        Ribeiro et al., CODE-15%: a large scale annotated dataset of 12-lead ECGs, 2021, doi 10.5281/zenodo.4916206.
        """
        with _opened(next(iter(files.values())), name=name) as file:
            own = _datasets(file, name=name)
            if _is_code15(own):
                return _code15(own[CODE15], own[EXAMS], files, name=name)
            array, found = _found(file, own, name=name)
            description = described(found.description, files, name=name)
            return Reading(recordings=arrays.recordings(array, description, name=name, acquisition=Acquisition(source_format="HDF5")))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the array of signals again, with what else was read of it; other arrays, attributes and the names of all are left out.

        The numbers of CODE-15's exams stay: they are its recordings' names.
        """
        import h5py

        stream = io.BytesIO()
        with _opened(next(iter(files.values())), name=name) as file, h5py.File(stream, "w") as written:
            own = _datasets(file, name=name)
            if _is_code15(own):
                for called in (CODE15, EXAMS):
                    _copy(own[called], _content(own[called], name=name), written, called)
            else:
                array, found = _found(file, own, name=name)
                _copy(own[found.array], array, written, arrays.SIGNALS)
                written[arrays.SIGNALS].attrs.update(arrays.said(found.description))
        return with_sidecars(stream.getvalue(), files)


@contextmanager
def _opened(data: bytes, *, name: str) -> Iterator[Any]:
    import h5py

    check_heaps(data, name=name)
    try:
        with h5py.File(io.BytesIO(data), "r") as file:
            yield file
    except BadInputError:
        raise
    except Exception as error:  # noqa: BLE001 - HDF5 raises whatever its parsing runs into, all of it the file's doing
        sentence = f"{name}: the HDF5 file is damaged or cut off ({type(error).__name__}); upload it again"
        raise BadInputError(Reason.INCOMPLETE if "truncated" in str(error) else Reason.UNREADABLE, sentence) from None


def _copy(dataset: Any, content: NDArray[Any], written: Any, called: str) -> None:
    """Write an array under a name, packed by deflate where it was."""
    packed = {"chunks": dataset.chunks, "compression": dataset.compression, "shuffle": dataset.shuffle} if dataset.compression else {}
    written.create_dataset(called, data=content, **packed)


def _is_code15(own: Mapping[str, Any]) -> bool:
    return {CODE15, EXAMS} <= set(own) and own[CODE15].shape[1:] == _CODE15_SHAPE


def _found(file: Any, own: Mapping[str, Any], *, name: str) -> tuple[NDArray[Any], arrays.Found]:
    """Return the array of signals, and what the others and the attributes say of it."""
    numbers = {called: dataset.shape for called, dataset in own.items() if dataset.dtype.kind in "iuf"}
    small = {
        called: _content(dataset, name=name) for called, dataset in own.items() if arrays.is_known(called) and dataset.size <= _SMALL_VALUES
    }
    found = arrays.find(numbers, small, name=name)
    dataset = own[found.array]
    for holder in (dataset, file):
        known = [called for called in list(holder.attrs)[:_MAX_MEMBERS] if arrays.is_known(called)]
        attributes = {called: np.asarray(holder.attrs[called]) for called in known if _is_plain(holder.attrs.get_id(called))}
        few = {called: array for called, array in attributes.items() if array.size <= _SMALL_VALUES}
        found = _with(found, arrays.find({found.array: dataset.shape}, few, name=name))
    arrays.check_scale(found, dataset.dtype, name=name)
    return _content(dataset, name=name), found


def _with(first: arrays.Found, second: arrays.Found) -> arrays.Found:
    description = {key: value if value is not None else getattr(second.description, key) for key, value in vars(first.description).items()}
    return arrays.Found(array=first.array, description=Described(**description), scale=first.scale or second.scale)


def _datasets(file: Any, *, name: str) -> dict[str, Any]:
    """Return the file's own arrays below its root, by name; links to elsewhere are refused."""
    import h5py

    if len(file) > _MAX_MEMBERS:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {len(file):,} objects; the limit is {_MAX_MEMBERS:,}")
    found = {}
    for called in file:
        if not isinstance(file.get(called, getlink=True), h5py.HardLink):
            raise BadInputError(Reason.UNSAFE_PATH, f"{name}: it contains a link; only arrays in the file itself are read")
        member = file[called]
        if isinstance(member, h5py.Dataset) and member.shape is not None:
            found[called] = member
    return found


def _content(dataset: Any, *, name: str) -> NDArray[Any]:
    """Return the elements of an array, once it is known that they lie in the file, and what they will take."""
    if dataset.dtype.kind in "iuf":
        arrays.check_kind(dataset.dtype, name=name)
    elif dataset.dtype.kind not in "SO" or dataset.size > _SMALL_VALUES or not _is_plain(dataset.id):
        raise BadInputError(Reason.NOT_NUMERIC, f"{name}: its array of signals does not contain real numbers")
    if dataset.ndim in (2, 3):
        arrays.check_size(dataset.shape, name=name)
    elif dataset.size > _SMALL_VALUES:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {dataset.size} values describe its signals; the limit is {_SMALL_VALUES:,}")
    _check_storage(dataset, name=name)
    return np.asarray(dataset[()])


def _is_plain(kept: Any) -> bool:
    """Tell whether an attribute or array holds numbers or texts: a damaged list of any length ends the process that reads it."""
    from h5py import h5t

    return isinstance(kept.get_type(), h5t.TypeIntegerID | h5t.TypeFloatID | h5t.TypeStringID)


def _check_storage(dataset: Any, *, name: str) -> None:
    """Refuse what lies in another file, needs a filter that is not HDF5's own, or unpacks to more than it says."""
    plist = dataset.id.get_create_plist()
    if dataset.external or dataset.is_virtual:
        raise BadInputError(Reason.UNSAFE_PATH, f"{name}: its signals are in another file; only signals in the file itself are read")
    filters = {plist.get_filter(number)[0] for number in range(plist.get_nfilters())}
    if not filters <= _FILTERS:
        foreign = ", ".join(map(str, sorted(filters - _FILTERS)))
        message = f"{name} is compressed with a filter that is not part of HDF5 ({foreign}); save it with gzip"
        raise BadInputError(Reason.UNREADABLE, message)
    if not dataset.chunks:
        return
    n_bytes = math.prod(dataset.chunks) * dataset.dtype.itemsize
    n_chunks = math.prod(-(-length // part) for length, part in zip(dataset.shape, dataset.chunks, strict=True))
    if n_bytes > _MAX_CHUNK_BYTES or n_chunks > _MAX_CHUNKS:
        bound = f"the limit is {_MAX_CHUNKS:,} chunks of {_MAX_CHUNK_BYTES:,} bytes"
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {n_chunks} chunks of {n_bytes:,} bytes; {bound}")
    there = dataset.id.get_num_chunks()
    if there < n_chunks:  # HDF5 would fill the others with zeros
        raise BadInputError(Reason.INCOMPLETE, f"{name}: {there} chunks of samples are there; its shape needs {n_chunks}. Upload it again")
    for number in range(there):
        chunk = dataset.id.get_chunk_info(number)
        if 1 in filters and chunk.size * _DEFLATE_RATIO > _HARMLESS_BYTES:
            _, packed = dataset.id.read_direct_chunk(chunk.chunk_offset)
            if len(zlib.decompressobj().decompress(packed, n_bytes + 5)) > n_bytes + 4:  # with Fletcher's checksum
                raise BadInputError(Reason.UNREADABLE, f"{name}: a chunk unpacks to more than the {n_bytes:,} bytes that it should have")


def _code15(tracings: Any, exams: Any, files: Mapping[str, bytes], *, name: str) -> Reading:
    description = described(Described(fs=CODE15_FS, leads=STANDARD_LEADS, axis=1), files, name=name)
    if fault := missing(description, name=name):
        raise fault
    ids = _content(exams, name=name) if exams.ndim == 1 and exams.dtype.kind in "iu" else np.empty(0, dtype=np.int64)
    if len(ids) != len(tracings) or len(np.unique(ids)) != len(ids):
        message = f"{name}: {len(np.unique(ids))} different exam numbers for {len(tracings)} recordings"
        raise BadInputError(Reason.UNREADABLE, message)
    array = _content(tracings, name=name)
    recordings: list[Recording] = []
    rejected: list[Rejected] = []
    for one, exam in zip(array, ids.tolist(), strict=True):
        start = _start(one)
        if start is None:
            message = f"{name}#{exam}: all samples are 0"
            rejected.append(Rejected(name=f"{name}#{exam}", reason=Reason.FLAT, message=message))
            continue
        samples = one[np.newaxis, start : len(one) - start]
        acquisition = Acquisition(source_format="HDF5 as in CODE-15")
        recordings += arrays.recordings(samples, description, name=name, acquisition=acquisition, names=[str(exam)])
    return Reading(recordings=tuple(recordings), rejected=tuple(rejected))


def _start(one: NDArray[Any]) -> int | None:
    """Return where a recording begins behind the zeros that filled it up on both sides; None where all of it is zero."""
    filled = np.flatnonzero(one.any(axis=1))
    if not filled.size:
        return None
    starts = ((len(one) - n_samples) // 2 for n_samples in _CODE15_SAMPLES)
    return next((start for start in starts if filled[0] >= start and filled[-1] < len(one) - start), 0)
