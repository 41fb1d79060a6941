"""Here: a store that fails at every change once, and a task tried until it comes through. Not here: killed processes (``faults``)."""

from collections.abc import Callable
from typing import Any

import pytest

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import StoreError


def break_every_change(monkeypatch: pytest.MonkeyPatch, *, nth: int = 1) -> set[tuple]:
    """Let each change of any store fail once, before it is made, or each nth of them; returns those that have come so far."""
    broken: set[tuple] = set()
    for name in ("put", "replace", "copy", "delete", "_delete_listed"):
        whole = getattr(ObjectStore, name)

        def once(self, *args, _whole=whole, _name=name, **kwargs):
            change = (_name, args[:2] if _name == "copy" else tuple(args[0]) if _name == "_delete_listed" else args[0])
            if _name in ("put", "replace") and args[0].startswith(keys.AUDIT):  # an entry's name has its moment in it
                change = (_name, keys.AUDIT)
            if _name in ("put", "replace") and "/jobs/" in args[0]:  # so has the first job's plan, whose digest is in its name
                change = (_name, args[0].partition("-")[0])
            if change not in broken:
                broken.add(change)
                if len(broken) % nth:
                    return _whole(self, *args, **kwargs)
                raise StoreError(f"the store went away at {change}")
            return _whole(self, *args, **kwargs)

        monkeypatch.setattr(ObjectStore, name, once)
    return broken


def insist(task: Callable[..., Any], *args: Any) -> Any:
    """Run a task again until the store does not fail any more."""
    for _ in range(500):
        try:
            return task(*args)
        except StoreError:
            continue
    raise AssertionError(f"{task} never came through")
