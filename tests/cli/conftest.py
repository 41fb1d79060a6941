"""Files and versions that several commands are tried on."""

from tests.archives import evaluated_versions, make_wfdb, works

__all__ = ["evaluated_versions", "make_wfdb", "works"]
