"""Here: a tar archive from standard input into the inbox: ``tar c FILES | docker compose exec -T worker python -m deploy.compose.put``.

Not here: the order in which files are safe to arrive (``ecg_tasks.actions.inbox``).
"""

import sys
import tarfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ecg_tasks.offline.labelled_folders import Content


def main() -> None:
    """Take over the plain files of the archive under their paths."""
    from ecg_tasks.actions.inbox import put_in_order

    with tarfile.open(fileobj=sys.stdin.buffer, mode="r|*") as archive:
        files: list[tuple[str, Content]] = [
            (member.name.removeprefix("./"), content.read()) for member in archive if (content := archive.extractfile(member))
        ]
    print(f"{put_in_order(files)} files are in the inbox")  # noqa: T201 - what the person sees


if __name__ == "__main__":
    main()
