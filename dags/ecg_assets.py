"""Here: the assets that join the DAGs to one another, and name the bucket's parts for lineage. Not here: the DAGs.

Where lineage is sent (``OPENLINEAGE_URL``), an asset's address is its prefix in the bucket, and Airflow's provider names data sets as other
programs do (``s3://BUCKET``, ``records``). Elsewhere it has a name only: to check such an address Airflow imports boto3 at every reading of
a DAG, 0.15 s. An event of an asset has the key of the manifest that describes it.
"""

import os
from typing import TYPE_CHECKING

from airflow.sdk import Asset, AssetWatcher
from inbox_trigger import chosen_trigger

from ecg_tasks import names

if TYPE_CHECKING:
    from airflow.sdk.execution_time.context import OutletEventAccessors
    from pydantic import JsonValue

GROUP = "ecg"


def _asset(name: str, *prefixes: str, watchers: list[AssetWatcher] | None = None) -> Asset:
    """Return an asset that stands for what lies below these prefixes of the bucket."""
    bucket = os.environ.get("ECG_BUCKET")
    held: dict[str, JsonValue] = {"prefixes": [*prefixes]}
    if not bucket or not os.environ.get("OPENLINEAGE_URL"):
        return Asset(name, group=GROUP, extra=held, watchers=watchers or [])
    return Asset(name, uri=f"s3://{bucket}/{prefixes[0]}", group=GROUP, extra=held, watchers=watchers or [])


ECG_INBOX = _asset("ecg_inbox", names.INBOX, watchers=[AssetWatcher(name="inbox_watcher", trigger=chosen_trigger())])
"""Something was dropped."""

ECG_RECORDS = _asset("ecg_records", names.RECORDS, names.LABELS, names.CLASSES)
"""Recordings were taken over from the inbox."""

ECG_SPECTROGRAMS = _asset("ecg_spectrograms", names.SPECTROGRAMS, names.MEASUREMENTS)
"""The pictures of new records are in the bucket."""

ECG_REPORTS = _asset("ecg_reports", names.REPORTS, names.PREDICTIONS, names.MONITORING)
"""A run has decided, and its report is there."""


def told(events: "OutletEventAccessors | None", asset: Asset, key: str) -> str:
    """Put the key of what tells of an event into the event, and return it; it names no person."""
    if events is not None:
        events[asset].extra = {"told_in": key}
    return key
