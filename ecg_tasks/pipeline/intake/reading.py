"""Here: getting and reading the drops of a batch, some at a time, before they are taken over. Not here: taking over (``taking``).

What reads is asked for some drops at once: for small recordings a question each costs as much as a part of the reading. The bytes of the
next ones come meanwhile.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from ecg_tasks.archive.documents import Drop
from ecg_tasks.archive.parallel import bounded_parallel_map
from ecg_tasks.errors import BadInputError, MissingObjectError
from ecg_tasks.parsing.here import AskedDrop, Found, ParseAll
from ecg_tasks.pipeline.intake import filling
from ecg_tasks.pipeline.intake.drops import PASSED_OVER, n_bytes
from ecg_tasks.pipeline.intake.keeping import Keeping

GROUPS_AT_ONCE = 4
MOST_DROPS = 32
"""Of a group."""
_MOST_BYTES = 2 * 1024 * 1024
"""New pages for a group cost more than another question."""
_GROUPS = 8
"""A batch has so many groups at least, so that one is read while another is got and a third is kept."""

DropBytes = Mapping[str, bytes] | MissingObjectError | BadInputError | None
"""The bytes of a drop by file name; or why they cannot be had; or None where nobody asks for them."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadDrop:
    """A drop with its bytes, and what is in them: None where they were not read."""

    drop: Drop
    contents: DropBytes
    found: Found | BadInputError | None = None


def read_drops(drops: Sequence[Drop], *, get: Callable[[Drop], DropBytes], parse: ParseAll, keeping: Keeping) -> Iterator[ReadDrop]:
    """Get and read drops; yields them in their order. Memory holds a few groups of 2 MB, or single drops that are larger.

    Parameters
    ----------
    get : returns the bytes of a drop
    keeping : says whether a copy without identifiers is wanted
    """

    def got(group: Sequence[Drop]) -> list[tuple[Drop, DropBytes]]:
        return [(drop, get(drop)) for drop in group]

    for group in bounded_parallel_map(got, _groups(drops), at_once=GROUPS_AT_ONCE):
        asked = {
            number: AskedDrop(drop.name, contents, keeping.called(contents))
            for number, (drop, contents) in enumerate(group)
            if isinstance(contents, Mapping) and drop.fate != PASSED_OVER
        }
        found = dict(zip(asked, parse(list(asked.values())) if asked else (), strict=True))
        for number, (drop, contents) in enumerate(group):
            yield ReadDrop(drop=drop, contents=contents, found=found.get(number))


def _groups(drops: Sequence[Drop]) -> Iterable[list[Drop]]:
    return filling.groups(drops, lambda drop: (n_bytes(drop), 1), most=bounds(len(drops)))


def bounds(n_drops: int) -> tuple[int, int]:
    """Return the most bytes, and the most drops, of a group of a batch of so many drops."""
    return _MOST_BYTES, min(MOST_DROPS, -(-n_drops // _GROUPS))
