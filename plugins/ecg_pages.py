"""Here: what Airflow learns of the ECG pages: where they are mounted, in which menus, who writes notes, what holds for every answer.

Not here: the pages (``ecg_ui``). Airflow runs every file below ``plugins/`` in every component and every task, so the pages lie
elsewhere, and nothing heavy is imported before it is asked for.
"""

from functools import cached_property
from typing import Any
from urllib.parse import urlparse

import run_note
from airflow.configuration import conf
from airflow.plugins_manager import AirflowPlugin

PREFIX = "/ecg"


def base_path() -> str:
    """Return the path below which Airflow is served, without a slash at its end; empty if it is served at the root."""
    return urlparse(conf.get("api", "base_url", fallback="")).path.rstrip("/")


class EcgPages(AirflowPlugin):
    """Reports, models and the reviewer's pen inside Airflow."""

    name = "ecg_pages"
    listeners: list[object] = [run_note]  # noqa: RUF012 - as Airflow declares it

    @cached_property
    def fastapi_apps(self) -> list[dict[str, Any]]:  # type: ignore[override]  # made when asked for
        """The pages; only the api-server asks for them."""
        from ecg_ui.app import create_app

        return [{"app": create_app(), "url_prefix": PREFIX, "name": "ecg"}]

    @cached_property
    def fastapi_root_middlewares(self) -> list[dict[str, Any]]:  # type: ignore[override]  # as above
        """What holds for every answer: allowed names, headers, the access log."""
        from ecg_ui.doors import Doors

        return [{"middleware": Doors, "args": [], "kwargs": {}, "name": "ecg doors"}]

    @cached_property
    def external_views(self) -> list[dict[str, Any]]:  # type: ignore[override]  # as above
        """Where Airflow shows them: in its menu, and beside every run."""
        here = f"{base_path()}{PREFIX}"
        icons = {"icon": f"{here}/static/icon.svg", "icon_dark_mode": f"{here}/static/icon-dark.svg"}
        return [
            {"name": "ECG", "href": f"{here}/", "destination": "nav", "url_route": "ecg", "nav_top_level": True, **icons},
            {
                "name": "ECG report",
                "href": f"{here}/run?dag_id={{DAG_ID}}&run_id={{RUN_ID}}",
                "destination": "dag_run",
                "url_route": "ecg-report",
                **icons,
            },
        ]
