"""Here: the notice that goes out when a run of ``classify_records`` ends; off unless an address is set. Not here: its words (``steps``)."""

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

from airflow.sdk import BaseNotifier
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import Context

    from ecg_tasks.settings import Settings
    from ecg_tasks.steps.notifying import Notice


class ReportNotifier(BaseNotifier):
    """Tells a webhook (``ECG_NOTIFY_WEBHOOK``) and mailboxes (``ECG_NOTIFY_EMAIL``) how a run ended.

    The dag-processor calls it, which knows the run by its id only. What cannot be sent is logged there, and fails nothing.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, succeeded: bool) -> None:
        super().__init__()
        self.succeeded = succeeded

    def notify(self, context: "Context") -> None:
        """Send the message by every way that is set."""
        from ecg_tasks.settings import Settings
        from ecg_tasks.steps import notifying

        settings = Settings.from_environment()
        if not settings.notify_webhook and not settings.notify_email:
            return
        told = notifying.notice(context["run_id"], succeeded=self.succeeded, base_url=conf.get("api", "base_url", fallback=""))
        self._try("webhook", lambda: notifying.post(told, settings=settings))
        self._try("mail", lambda: _mail(told, settings, context))

    def _try(self, way: str, send: Callable[[], None]) -> None:
        try:
            send()
        except Exception as error:  # noqa: BLE001  # whatever it is, the other way is still tried
            # without the error's words: they hold the webhook's address, and with it a secret
            self.log.error("The notice could not be sent by %s: %s", way, type(error).__name__)  # noqa: TRY400  # for the same reason


def _mail(told: "Notice", settings: "Settings", context: "Context") -> None:
    if not settings.notify_email:
        return
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    lines = "<br>".join(map(escape, told.text.splitlines()))
    SmtpNotifier(to=list(settings.notify_email), subject=told.subject, html_content=f"<p>{lines}</p>").notify(context)
