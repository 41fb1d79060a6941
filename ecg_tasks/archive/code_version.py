"""Here: which code is running, as every manifest and every trained version records it. Not here: writing these."""

import hashlib
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[1]
_LEFT_BY_PYTHON = {"__pycache__"}


@cache
def code_version() -> dict[str, str]:
    """Return the version of the package, and git's name for the tree of its files: ``git rev-parse REVISION:ecg_tasks`` gives the same.

    It is computed from the files that run, so it is right in an image without git too, and where a file was changed by hand.
    """
    import ecg_tasks

    return {"version": ecg_tasks.__version__, "tree": git_tree(PACKAGE).hex()}


def git_tree(folder: Path) -> bytes:
    """Return git's SHA-1 of a folder: of the modes, names and digests of what is in it, names in git's order."""
    parts = []
    for path in sorted(folder.iterdir(), key=lambda path: path.name + "/" * path.is_dir()):
        if path.name in _LEFT_BY_PYTHON:
            continue
        if path.is_dir():
            if (tree := git_tree(path)) != _NOTHING:  # git knows no empty folders
                parts.append(b"40000 " + path.name.encode() + b"\0" + tree)
        else:
            mode = b"100755 " if path.stat().st_mode & 0o100 else b"100644 "
            parts.append(mode + path.name.encode() + b"\0" + _git_sha1(b"blob", path.read_bytes()))
    return _git_sha1(b"tree", b"".join(parts))


def _git_sha1(kind: bytes, content: bytes) -> bytes:
    return hashlib.sha1(kind + b" %d\0" % len(content) + content, usedforsecurity=False).digest()


_NOTHING = _git_sha1(b"tree", b"")
