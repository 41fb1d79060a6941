"""Here: how the inbox is cut into batches. Not here: what is a drop (``test_ingest``)."""

from ecg_tasks.archive.documents import Drop, InboxFile
from ecg_tasks.pipeline.intake import drops

MB = 1024 * 1024
MIN_TASKS = 4


def cut(sizes: list[int]) -> list[int]:
    """Drops in each batch."""
    files = [InboxFile(key="inbox/a.csv", etag="", size=size) for size in sizes]
    return [len(batch) for batch in drops.batches([Drop(name="a.csv", files=(file,), modified="") for file in files], min_tasks=MIN_TASKS)]


def test_small_inbox_is_shared_by_several_tasks():
    """20,000 heartbeat rows in 20 files give more than one task, and none with too little for a shard."""
    assert cut([1_300_000] * 20) == [6, 6, 6, 2]


def test_what_fits_one_shard_is_one_task():
    """A few files are not worth a second task."""
    assert cut([1 * MB] * 8) == [8]


def test_large_inbox_gives_batches_of_64_mb():
    """A night of gigabytes is cut as coarsely as memory allows."""
    assert set(cut([1 * MB] * 64 * MIN_TASKS * 2)) == {64}


def test_many_small_drops_are_counted():
    """No batch has more than 256 drops, whatever their size."""
    assert cut([10] * 600) == [256, 256, 88]


def test_one_large_file_is_a_batch():
    """A file larger than any batch goes alone."""
    assert cut([200 * MB, 1, 1]) == [1, 2]
