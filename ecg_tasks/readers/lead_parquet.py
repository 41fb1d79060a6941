"""Here: Parquet with a column for each lead. Not here: what columns are (``lead_columns``), or the archive's own Parquet (``archive``)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError, Reason
from ecg_tasks.readers.base import Acquisition, Companions, Reading
from ecg_tasks.readers.file_names import sidecars_of
from ecg_tasks.readers.lead_columns import LONGEST_TIME_S, MAX_COLUMNS, Columns, columns_of, kept_columns, recording
from ecg_tasks.readers.leads import MAX_VALUES
from ecg_tasks.readers.sidecar import Described, described, with_sidecars

MAGIC = b"PAR1"
_TRAILER = 8
_MAX_BYTES_A_VALUE = 16
"""Of a column once it is unpacked: a double, its place in a dictionary, and what belongs to them."""


class LeadParquetReader:
    """Tables of leads, a sample a row, in Parquet."""

    name = "lead_parquet"
    title = "a table of leads (Parquet)"

    def knows(self, name: str, head: bytes) -> bool:  # noqa: ARG002 - the first bytes tell it
        """Tell a file by its first bytes."""
        return head.startswith(MAGIC)

    def companions(self, name: str, data: bytes) -> Companions:  # noqa: ARG002 - its columns stand at its end
        """Tell which sidecars may be there."""
        return Companions(optional=sidecars_of(name))

    def read(self, files: Mapping[str, bytes], name: str) -> Reading:
        """Read a table whose columns are called as those of a CSV (`lead_csv`): leads, with their unit, and a time with its unit.

        Raises
        ------
        BadInputError
            ``unit_unknown`` with the line to write; ``incomplete`` for a file without its end; ``not_numeric``; ``too_large``;
            ``unreadable``.
        """
        columns, values = _table(next(iter(files.values())), name=name)
        description = described(Described(), files, name=name)
        found = recording(np.column_stack(values), columns, description, name=name, acquisition=Acquisition(source_format="Parquet"))
        return Reading(recordings=(found,))

    def deidentified(self, files: Mapping[str, bytes], name: str) -> dict[str, bytes]:
        """Write the columns of leads and time again; indices and all that is said of the table are left out."""
        import pyarrow as pa
        from pyarrow import parquet

        columns, values = _table(next(iter(files.values())), name=name)
        if columns.time is not None and (step_s := columns.time[1]) is not None:
            times = values[columns.time[0]]
            values[columns.time[0]] = times - times[0] if abs(times[0] * step_s) >= LONGEST_TIME_S else times
        stream = pa.BufferOutputStream()
        kept = {called: values[place] for place, called in kept_columns(columns).items()}
        parquet.write_table(pa.table(kept), stream, store_schema=False)
        return with_sidecars(stream.getvalue().to_pybytes(), files)


def _table(data: bytes, *, name: str) -> tuple[Columns, list[NDArray[np.float64]]]:
    """Return what a file's columns are, and the numbers in each."""
    import pyarrow as pa
    from pyarrow import parquet

    length = int.from_bytes(data[-_TRAILER:-4], "little")
    if not data.endswith(MAGIC) or length + _TRAILER + len(MAGIC) > len(data):
        message = f"{name}: the end of the Parquet file is missing; {len(data):,} bytes are there. Upload it again"
        raise BadInputError(Reason.INCOMPLETE, message)
    try:
        file = parquet.ParquetFile(pa.BufferReader(data), thrift_string_size_limit=2**20, thrift_container_size_limit=2**16)
        columns = _columns(file, name=name)
        table = file.read(use_threads=False)
        return columns, [_numbers(table.column(place), name=name) for place in range(table.num_columns)]
    except BadInputError:
        raise
    except pa.ArrowMemoryError:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: a page of it would need more memory than there is") from None
    except Exception as error:  # noqa: BLE001 - pyarrow raises whatever its parsing runs into, all of it the file's doing
        raise BadInputError(Reason.UNREADABLE, f"{name}: the Parquet file is damaged ({type(error).__name__}); upload it again") from None


def _columns(file: Any, *, name: str) -> Columns:
    """Return what the columns are, once it is known that they can be held."""
    _check(file, name=name)
    columns = columns_of(file.schema_arrow.names)
    if columns is None:
        sentence = f"{name}: its {len(file.schema_arrow.names)} columns must be leads, with a time or an index"
        raise BadInputError(Reason.UNREADABLE, f"{sentence}; call them I, II, V1 and so on, and time_s")
    return columns


def _check(file: Any, *, name: str) -> None:
    """Refuse a table that is larger than can be held, by what it says of itself, before it is unpacked."""
    metadata = file.metadata
    n_values = metadata.num_rows * metadata.num_columns
    if metadata.num_columns > MAX_COLUMNS or n_values > MAX_VALUES:
        size = f"{metadata.num_rows:,} rows of {metadata.num_columns} columns"
        bound = f"the limit is {MAX_COLUMNS} columns and {MAX_VALUES:,} values"
        raise BadInputError(Reason.TOO_LARGE, f"{name}: {size}; {bound}")
    if metadata.num_rows < 1:
        raise BadInputError(Reason.UNREADABLE, f"{name}: the table has no rows")
    # of the groups, since asking for a column ends the process where its statistics are damaged (`docs/upstream.md`)
    unpacked = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    if unpacked > _MAX_BYTES_A_VALUE * n_values + 2**20:
        raise BadInputError(Reason.TOO_LARGE, f"{name}: it unpacks to {unpacked:,} bytes, too many for {n_values:,} numbers")


def _numbers(column: Any, *, name: str) -> Any:
    import pyarrow as pa

    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise BadInputError(Reason.NOT_NUMERIC, f"{name}: a column has the type {str(column.type)[:40]}; all columns must be numbers")
    return column.cast(pa.float64()).to_numpy()
