"""Here: what is sent to the outside when a classification run ends, or is late. Not here: by which way (``plugins/report_notifier``).

Counts and a link, nothing else: no name of a file, no record, no patient, so that it may pass through a chat or a mailbox.
"""

import logging
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.parse import quote

import httpx

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import ClassifyManifest, find_manifest, plain
from ecg_tasks.archive.workspace import open_store
from ecg_tasks.errors import EcgError, StoreError
from ecg_tasks.labels import RESEARCH_USE
from ecg_tasks.names import DagId

for _name in ("httpx", "httpcore", "urllib3", "oauthlib", "requests_oauthlib"):
    logging.getLogger(_name).setLevel(logging.WARNING)  # below, they tell addresses, which may hold a secret
logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)  # it tells them at every level

DAG = DagId.CLASSIFY_RECORDS
TIMEOUT_S = 10.0


class RunState(StrEnum):
    """What is reported of a run. The values are sent."""

    SUCCESS = "success"
    FAILED = "failed"
    LATE = "late"


_SUBJECTS = {
    RunState.SUCCESS: "ECG classification: the report is ready",
    RunState.FAILED: "ECG classification: a run failed",
    RunState.LATE: "ECG classification: a run is late",
}
_TYPES = {RunState.SUCCESS: "success", RunState.FAILED: "failure", RunState.LATE: "warning"}
"""How Apprise calls them, for services that have a colour or a sign for each."""


@dataclass(frozen=True, kw_only=True)
class RunNotice:
    """One message.

    Parameters
    ----------
    counts : empty where the run wrote no report
    audit : digest of the run's entry in the log of who did what: kept where the message goes, it proves later that nothing was cut off
    """

    state: RunState
    counts: dict[str, int]
    drifting: tuple[str, ...]
    audit: str
    link: str

    @property
    def subject(self) -> str:
        """One line."""
        return _SUBJECTS[self.state]

    @property
    def text(self) -> str:
        """The subject, and some lines below it."""
        return f"{self.subject}\n{self.body}"

    @property
    def body(self) -> str:
        """Some lines."""
        counts = ", ".join(f"{name}: {count:,}" for name, count in self.counts.items())
        drift = f"Drift: {', '.join(self.drifting)}; consider a new training." if self.drifting else ""
        audit = f"Audit log: {self.audit}" if self.audit else ""
        return "\n".join(filter(None, [counts, drift, self.link, audit, RESEARCH_USE]))

    def as_dict(self) -> dict[str, Any]:
        """Return what a webhook is sent; ``text`` is what chat services show of it."""
        return {
            "event": DAG.value,
            "state": self.state.value,
            "counts": self.counts,
            "drift": list(self.drifting),
            "audit": self.audit,
            "link": self.link,
            "text": self.text,
        }


def notice(run_id: str, *, state: RunState, base_url: str) -> RunNotice | None:
    """Return the message on a run, from its manifest; a store that is away costs the counts, not the message.

    None for a run that ended well without a report, as the run before it had decided on everything.
    """
    manifest = None
    if state is RunState.SUCCESS:
        try:
            manifest = find_manifest(open_store(), ClassifyManifest, keys.run_key(run_id))
        except StoreError:
            logging.getLogger(__name__).warning("The counts of %s cannot be read", run_id)
        else:
            if manifest is None:
                return None
    return RunNotice(
        state=state,
        counts={} if manifest is None else plain(manifest.counts),
        drifting=() if manifest is None else tuple(light.recipe for light in manifest.drift if light.suggests_retraining),
        audit="" if manifest is None else manifest.audit,
        link=f"{base_url.rstrip('/')}/dags/{DAG}/runs/{quote(run_id, safe='')}",
    )


class NotSentError(EcgError):
    """A channel did not take the message; reported without a reason, which would hold its address."""


def send(notice: RunNotice, address: str) -> None:
    """Send the message to one address: as JSON to ``http`` and ``https``, and else by Apprise's service of that scheme.

    Raises
    ------
    NotSentError
        If there is no such service, or it did not take the message.
    httpx.HTTPError
        If a webhook cannot be reached, or answers with an error or with another address to go to.
    """
    if address.startswith(("http://", "https://")):
        httpx.post(address, json=notice.as_dict(), timeout=TIMEOUT_S, follow_redirects=False).raise_for_status()
        return
    import apprise

    asset = apprise.AppriseAsset(storage_mode=apprise.PersistentStoreMode.MEMORY, http_redirects=False, app_id="ECG")
    channel = apprise.Apprise.instantiate(address, asset=asset)
    if channel is None or not channel.notify(title=notice.subject, body=notice.body, notify_type=_TYPES[notice.state]):
        raise NotSentError
