"""Files that several commands are tried on."""

from tests.archives import make_wfdb

__all__ = ["make_wfdb"]
