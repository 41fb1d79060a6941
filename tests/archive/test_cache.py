"""What a process keeps: one generation of a name, and so many names."""

import threading

from ecg_tasks.archive.cache import keep


def test_another_generation_takes_the_place_of_the_one_before():
    """What is stale does not stay in memory beside what is right, and is not given again."""
    made = []

    @keep(8)
    def listed(bucket, *, etag):
        made.append((bucket, etag))
        return len(made)

    assert [listed("a", etag=1), listed("a", etag=1), listed("a", etag=2), listed("a", etag=1), listed("b", etag=1)] == [1, 1, 2, 3, 4]
    assert len(listed._found) == 2


def test_the_name_asked_for_longest_ago_goes_first():
    """Memory is bounded whatever is asked for."""
    made = []

    @keep(2)
    def loaded(key):
        made.append(key)
        return key

    for key in ("a", "b", "a", "c", "a", "b"):
        assert loaded(key) == key
    assert made == ["a", "b", "c", "b"]
    loaded.forget()
    assert loaded("b") == "b"
    assert made[-1] == "b"


def test_a_value_may_grow_out_of_the_one_before():
    """Whatever its generation was; the first has none."""

    @keep(2)
    def summed(bucket, *, numbers):
        return (summed.before(bucket) or 0) + sum(numbers)

    assert summed.before("a") is None
    assert (summed("a", numbers=(1, 2)), summed("a", numbers=(4,)), summed("b", numbers=(5,))) == (3, 7, 5)


def test_an_error_is_not_kept_and_threads_do_not_wait_for_one_another():
    """A slow read of one thing keeps nobody from another; what failed is tried again."""
    slow, asked = threading.Event(), []

    @keep(4)
    def read(key):
        asked.append(key)
        if key == "slow":
            assert slow.wait(10)
        if len(asked) == 2:
            raise OSError
        return key

    thread = threading.Thread(target=read, args=("slow",))
    thread.start()
    while not asked:
        pass
    try:
        read("x")
    except OSError:
        assert read("x") == "x"
    slow.set()
    thread.join()
    assert asked == ["slow", "x", "x"]
