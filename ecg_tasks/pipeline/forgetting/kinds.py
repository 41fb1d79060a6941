"""Here: every kind of object in the bucket, in the order in which a recording is forgotten in them. Not here: how, in any of them.

What is made of another object goes before it, so that nothing in the bucket names a record that is not there, wherever a run is broken
off. Every step finds its work by what lies there, and so can be done again.
"""

from collections.abc import Callable
from typing import NamedTuple

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.pipeline.forgetting import accounts, leftovers, logs, nights, rows, stored_bytes, versions
from ecg_tasks.pipeline.forgetting.gone import Gone


class KeptKind(NamedTuple):
    """Objects below one prefix, and what forgets something in them; it returns how many objects were changed."""

    prefix: str
    forget: Callable[[ObjectStore, Gone], int]


def _shard_of_predictions(key: str) -> str:
    return key.split("/")[2]


KINDS = (
    KeptKind(keys.INBOX, leftovers.forget_in_inbox),
    KeptKind(keys.STAGING, leftovers.forget_on_the_way),
    KeptKind(keys.QUARANTINE, leftovers.forget_in_quarantine),
    KeptKind(keys.BACKFILLS, nights.forget_comparisons),
    KeptKind(keys.REPORTS, nights.forget),
    KeptKind(keys.DECIDED, rows.forget_copies),
    KeptKind(keys.PREDICTIONS, rows.of_shards(keys.PREDICTIONS, shard_of=_shard_of_predictions)),
    KeptKind(keys.SPECTROGRAMS, rows.of_shards(keys.SPECTROGRAMS)),
    KeptKind(keys.MEASUREMENTS, rows.of_shards(keys.MEASUREMENTS)),
    KeptKind(keys.SIGNATURES, rows.of_shards(keys.SIGNATURES)),
    KeptKind(keys.LABELS, rows.named_by_content(keys.LABELS)),
    KeptKind(keys.CLASSES, rows.named_by_content(keys.CLASSES)),
    KeptKind(keys.GROUPS, rows.named_by_content(keys.GROUPS)),
    KeptKind(keys.DATASETS, versions.forget_in_datasets),
    KeptKind(keys.MODELS, versions.forget),
    KeptKind(keys.TAKEN_OVER, stored_bytes.forget_notes),
    KeptKind(keys.RAW, stored_bytes.forget),
    KeptKind(keys.MANIFESTS, accounts.forget),
    KeptKind(keys.ACCOUNT_LISTS, accounts.forget_lists),
    KeptKind(keys.ALIASES, rows.named_by_content(keys.ALIASES)),
    KeptKind(keys.DESCRIPTIONS, rows.named_by_content(keys.DESCRIPTIONS)),
    KeptKind(keys.RECORD_INDEX, rows.of_shards(keys.RECORD_INDEX)),
    KeptKind(keys.RECORDS, rows.of_shards(keys.RECORDS)),
    KeptKind(keys.CATALOG, rows.forget_in_catalog),
    KeptKind(keys.LOGS, logs.forget),
)
KEEPS = {
    keys.CHECKPOINTS: "weights between two epochs, which name nobody; they go 30 days after their training",
    keys.MONITORING: "counts of nights; no bin names anybody",
    keys.AUDIT: "who did what; a record is named by its id there, which nothing in the bucket leads from any more",
    keys.ACCESS: "who saw what; a record is named by its id there, which nothing in the bucket leads from any more",
    keys.DEIDENTIFIED: "counts, digests of objects, and names of files as digests with our key",
    keys.FORGOTTEN: "what is refused, by digests with our key",
}
"""Where nothing is forgotten, and why not."""
