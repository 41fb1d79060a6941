"""Here: a fresh embedded stack for tests that start one. Not here: what the stacks of whole runs share (``end_to_end/conftest.py``)."""

import json
import secrets
from pathlib import Path

from deploy.embedded import Stack
from deploy.embedded.home import is_free, write_private

_PORTS = range(18000, 19000)


def fresh_stack(home: Path) -> Stack:
    """A stack in a new state folder, not started, whose web interface leaves port 8080 alone.

    Every stack prefers that port. Of several that start at once all but one would find it taken, and start a second time.
    """
    stack = Stack(home)
    stack.home.create()
    port = secrets.choice([port for port in _PORTS if is_free(port)])
    write_private(stack.home.path / "ports.json", json.dumps({"ui": port}))
    return stack
