"""Here: the button *Open report* on the task that writes it. Not here: the page that it opens (``ecg_ui``)."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlparse

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey


def pages() -> str:
    """Return the address of the ECG pages inside Airflow's own frame and menu."""
    return f"{urlparse(conf.get('api', 'base_url', fallback='')).path.rstrip('/')}/plugin/ecg/ecg"


def address() -> str:
    """Return the address of the ECG pages by themselves, as another machine opens them."""
    return f"{conf.get('api', 'base_url', fallback='').rstrip('/')}/ecg"


class OpenReport(BaseOperatorLink):
    """Leads to the run's report, inside Airflow's own frame and menu.

    The task stores the link when it ends, so a past run keeps the one to its own report.
    """

    @property
    def name(self) -> str:
        """What the button says."""
        return "Open report"

    def get_link(self, operator: "BaseOperator", *, ti_key: "TaskInstanceKey") -> str:  # noqa: ARG002 - Airflow passes it
        """Return the address of the page of the run that the task belongs to."""
        return f"{pages()}/run?{urlencode({'dag_id': ti_key.dag_id, 'run_id': ti_key.run_id})}"
