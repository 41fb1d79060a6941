"""Here: what the store's own Python has to run: making Swift's rings, and its updater. Not here: its settings (``object_store``).

``swift_node.py rings FOLDER account=PORT …`` or ``swift_node.py updater FOLDER CONFIGURATION``.
"""

import sys
from pathlib import Path

PART_POWER = 8


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


if __name__ == "__main__":
    {"rings": make_rings, "updater": run_updater}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3:])
