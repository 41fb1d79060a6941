"""Drops, archives and nights, as every folder that looks into buckets has them."""

from tests.archives import archive, beat_rows, heartbeat_csv, judged_versions, make_wfdb, two_nights, works

__all__ = ["archive", "beat_rows", "heartbeat_csv", "judged_versions", "make_wfdb", "two_nights", "works"]
