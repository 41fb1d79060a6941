"""Drops are got and read some at a time: in which groups, and what becomes of those that are not read."""

import pytest

from ecg_tasks.archive.documents import Drop, InboxFile
from ecg_tasks.archive.stored_names import StoredNames
from ecg_tasks.errors import BadInputError, MissingObjectError, Reason
from ecg_tasks.pipeline.intake.drops import PASSED_OVER
from ecg_tasks.pipeline.intake.keeping import Keeping
from ecg_tasks.pipeline.intake.reading import MOST_DROPS, read_drops
from ecg_tasks.readers import Read

KEEPING = Keeping(keeps="deidentified", names=StoredNames(key=b"k" * 32, keep=True))
MB = 1_000_000


def drop(number: int, *, size: int = 1000, fate: str = "") -> Drop:
    """A drop of one file."""
    return Drop(name=f"{number}.csv", files=(InboxFile(key=f"inbox/{number}.csv", etag="1", size=size),), modified="", fate=fate)


@pytest.mark.parametrize(
    ("sizes", "groups"),
    [
        ([1000] * 3, [1, 1, 1]),
        ([1000] * 70, [9] * 7 + [7]),
        ([1000] * 300, [MOST_DROPS] * 9 + [12]),
        ([1000] * 100 + [3 * MB // 2, 3 * MB // 2, 9 * MB, 1000], [13] * 7 + [10, 1, 1, 1]),
    ],
    ids=["few", "many", "very many", "large ones"],
)
def test_groups_are_small_and_in_order(sizes, groups):
    """Eight at least while there are so many drops, 32 drops and 2 MB at most; a larger drop is alone."""
    drops, asked = [drop(number, size=size) for number, size in enumerate(sizes)], []

    def parse(group):
        asked.append(len(group))
        return [(Read(records=()), dict(one.contents)) for one in group]

    found = list(read_drops(drops, get=lambda one: {one.name: one.name.encode()}, parse=parse, keeping=KEEPING))
    assert asked == groups
    assert [one.drop for one in found] == drops
    assert [one.found[1] for one in found] == [{one.name: one.name.encode()} for one in drops]


def test_what_is_not_there_or_not_wanted_is_not_read():
    """It comes in its turn, with the reason; what is refused has the fault."""
    gone, damaged = MissingObjectError("gone"), BadInputError(Reason.CHECKSUM_MISMATCH, "damaged")
    there = {"0.csv": {"0.csv": b"x"}, "1.csv": gone, "2.csv": {"2.csv": b"y"}, "3.csv": damaged, "4.csv": None}
    drops = [drop(0), drop(1), drop(2, fate=PASSED_OVER), drop(3), drop(4)]
    refused = BadInputError(Reason.UNREADABLE, "unreadable")

    def parse(group):
        assert [one.name for one in group] == ["0.csv"]
        return [refused]

    found = list(read_drops(drops, get=lambda one: there[one.name], parse=parse, keeping=KEEPING))
    assert [one.found for one in found] == [refused, None, None, None, None]
    assert [one.contents for one in found] == list(there.values())
