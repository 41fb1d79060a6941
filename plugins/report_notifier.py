"""Here: the notice that goes out when a run of ``classify_records`` ends or is late; off unless an address is set. Not here: its words."""

import asyncio
from collections.abc import Sequence
from contextlib import contextmanager
from html import escape
from typing import TYPE_CHECKING

from airflow.sdk import BaseNotifier
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.providers.smtp.notifications.smtp import SmtpNotifier
    from airflow.sdk import Context

    from ecg_tasks.pipeline.monitoring.notifying import RunNotice
    from ecg_tasks.settings import Settings


class ReportNotifier(BaseNotifier):
    """Tells every address of ``ECG_NOTIFY`` how a run ended, or that it is late.

    The dag-processor calls it at a run's end and the triggerer awaits it at a missed deadline; both know the run by its id only. What
    cannot be sent is logged there, and fails nothing.

    Parameters
    ----------
    state : ``success``, ``failed`` or ``late``
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, state: str, context: "Context | None" = None) -> None:
        super().__init__(context=context)
        self.state = state

    def notify(self, context: "Context") -> None:
        """Send the message by every way that is set."""
        settings, notice = self._notice(context)
        if notice is None:
            return
        self._send(notice, settings)
        if settings.notify_email:
            with self._trying("mail"):
                _mail(notice, settings).notify(context)

    async def async_notify(self, context: "Context") -> None:
        """Send it without keeping the triggerer from its other work."""
        settings, notice = await asyncio.to_thread(self._notice, context)
        if notice is None:
            return
        await asyncio.to_thread(self._send, notice, settings)
        if settings.notify_email:
            with self._trying("mail"):
                await _mail(notice, settings).async_notify(context)

    def _send(self, notice: "RunNotice", settings: "Settings") -> None:
        from ecg_tasks.pipeline.monitoring import notifying

        for place, address in enumerate(settings.notify, start=1):
            with self._trying(f"{address.partition(':')[0]} (address {place} of ECG_NOTIFY)"):
                notifying.send(notice, address)

    def _notice(self, context: "Context") -> "tuple[Settings, RunNotice | None]":
        from ecg_tasks.pipeline.monitoring import notifying
        from ecg_tasks.settings import Settings

        # a missed deadline comes with the run as the REST API tells it
        run_id = context["run_id"] if "run_id" in context else context["dag_run"]["dag_run_id"]  # type: ignore[index]
        base_url = conf.get("api", "base_url", fallback="")
        return Settings.from_environment(), notifying.notice(run_id, state=notifying.RunState(self.state), base_url=base_url)

    @contextmanager
    def _trying(self, way: str) -> "Iterator[None]":
        try:
            yield
        except Exception as error:  # noqa: BLE001  # whatever it is, the other way is still tried
            # without the error's words: they hold the address, and with it a secret
            self.log.error("The notice could not be sent by %s: %s", way, type(error).__name__)  # noqa: TRY400  # for the same reason


def _mail(notice: "RunNotice", settings: "Settings") -> "SmtpNotifier":
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    lines = "<br>".join(map(escape, notice.text.splitlines()))
    return SmtpNotifier(to=list(settings.notify_email), subject=notice.subject, html_content=f"<p>{lines}</p>")
