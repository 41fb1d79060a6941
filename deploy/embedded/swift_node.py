"""Here: what the store's own Python has to run: making Swift's rings, its updater and its proxy. Not here: its settings (``object_store``).

``swift_node.py rings FOLDER account=PORT …``, or ``updater`` or ``proxy``, then FOLDER and CONFIGURATION.
"""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

PART_POWER = 8


class ForwardClock:
    """Seconds since 1970 that never repeat and never go back, whatever the machine's clock does, in this process or the next.

    Swift numbers writes by the time and lets the highest win: what was overwritten after the clock was set back would silently stay as it
    was, and what was deleted would refuse to go. While the clock is behind, this one goes on from where it was, in Swift's smallest steps.

    Parameters
    ----------
    file : holds a moment that none given out so far is after, by a second at most
    """

    STEP_S = 1e-4
    """Swift's own numbers have five digits."""
    AHEAD_S = 1.0

    def __init__(self, file: Path, *, wall: Callable[[], float] = time.time) -> None:
        self._file = file
        self._wall = wall
        try:
            self._reserved = float(file.read_text())
        except (OSError, ValueError):
            self._reserved = 0.0
        self._last = self._reserved

    def now(self) -> float:
        """A moment after all that were given out before."""
        self._last = max(self._wall(), self._last + self.STEP_S)
        if self._last > self._reserved:
            with suppress(OSError):  # a full disk: reading needs the time, too, and goes on; the next moment tries again
                partial = self._file.with_suffix(".new")
                partial.write_text(f"{self._last + self.AHEAD_S:.5f}")
                partial.replace(self._file)
                self._reserved = self._last + self.AHEAD_S
        return self._last


def make_rings(folder: Path, servers: list[str]) -> None:
    """One ring a server, given as ``kind=port``: this machine's one disk, one replica."""
    from swift.common.ring import RingBuilder  # type: ignore[import-not-found]

    for server in servers:
        kind, port = server.split("=")
        builder = RingBuilder(part_power=PART_POWER, replicas=1, min_part_hours=0)
        builder.add_dev({"region": 1, "zone": 1, "ip": "127.0.0.1", "port": int(port), "device": "disk", "weight": 1.0})
        builder.rebalance()
        builder.get_ring().save(str(folder / f"{kind}.ring.gz"))


def run_updater(folder: Path, arguments: list[str]) -> None:
    """Become ``swift-object-updater``, which, unlike the servers, looks for its settings in /etc/swift if it is not told."""
    from swift.common import utils  # type: ignore[import-not-found]
    from swift.obj.updater import main  # type: ignore[import-not-found]

    utils.set_swift_dir(str(folder))
    sys.argv[1:] = arguments
    main()


def run_proxy(folder: Path, arguments: list[str]) -> None:
    """Become ``swift-proxy-server``, which numbers all writes, with a clock that never goes back.

    S3's own times, by which old signatures are refused, stay those of the machine's clock.
    """
    from swift.common.utils.timestamp import Timestamp  # type: ignore[import-not-found]
    from swift.proxy.server import main  # type: ignore[import-not-found]

    clock = ForwardClock(folder / "cache" / "latest-write")

    def now(kind: Any, offset: int = 0, delta: int = 0) -> Any:
        return kind(clock.now() if kind is Timestamp else time.time(), offset=offset, delta=delta)

    Timestamp.now = classmethod(now)
    sys.argv[1:] = arguments
    main()


if __name__ == "__main__":
    {"rings": make_rings, "updater": run_updater, "proxy": run_proxy}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
