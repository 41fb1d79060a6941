"""Here: the assets that join the DAGs to one another. Not here: the DAGs, or what the assets hold."""

from airflow.sdk import Asset, AssetWatcher
from inbox_trigger import chosen_trigger

GROUP = "ecg"

ECG_INBOX = Asset("ecg_inbox", group=GROUP, watchers=[AssetWatcher(name="inbox_watcher", trigger=chosen_trigger())])
"""inbox/: something was dropped."""

ECG_RECORDS = Asset("ecg_records", group=GROUP)
"""records/ and labels/: recordings were taken over from the inbox."""

ECG_SPECTROGRAMS = Asset("ecg_spectrograms", group=GROUP)
"""spectrograms/: the pictures of new records are in the bucket."""
