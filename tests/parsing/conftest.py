"""Drops, as every folder that reads them has them."""

from tests.archives import beat_rows, heartbeat_csv, make_wfdb

__all__ = ["beat_rows", "heartbeat_csv", "make_wfdb"]
