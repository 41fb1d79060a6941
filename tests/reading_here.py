"""Here: reading drops in this process, where a task has them read behind walls. Not here: one drop (``ecg_tasks.parsing.here``)."""

from collections.abc import Sequence

from ecg_tasks.errors import BadInputError
from ecg_tasks.parsing.here import AskedDrop, Found, read_here


def read_all_here(asked: Sequence[AskedDrop], /) -> list[Found | BadInputError]:
    """Read some drops, as `ecg_tasks.parsing.here.ParseAll` says."""
    found: list[Found | BadInputError] = []
    for one in asked:
        try:
            found.append(read_here(one.name, one.contents, called=one.called))
        except BadInputError as fault:
            found.append(fault)
    return found
