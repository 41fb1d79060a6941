"""Drops, archives and nights, as every folder that looks into buckets has them."""

from tests.archives import archive, beat_rows, evaluated_versions, heartbeat_csv, make_wfdb, two_nights, works

__all__ = ["archive", "beat_rows", "evaluated_versions", "heartbeat_csv", "make_wfdb", "two_nights", "works"]
