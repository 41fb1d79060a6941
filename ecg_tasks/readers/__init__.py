"""Bytes in, recordings out, one module a format. A fault of the data is a ``BadInputError`` or a ``Rejected``, never anything else."""

from ecg_tasks.readers.detection import Format, detect
from ecg_tasks.readers.results import Reading, Rejected

__all__ = ["Format", "Reading", "Rejected", "detect"]
