"""Here: templates to answers, with what every page needs. Not here: what a page shows (``pages``)."""

import hashlib
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from airflow.api_fastapi.auth.managers.models.base_user import BaseUser
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader

from ecg_tasks.reporting.escaping import environment
from ecg_tasks.signals.flags import sentences, words
from ecg_ui import security

HERE = Path(__file__).parent
REPORTING = HERE.parent / "ecg_tasks" / "reporting" / "templates"
SECTIONS = (
    ("Overview", "/"),
    ("Inbox", "/inbox"),
    ("Reports", "/reports"),
    ("Review", "/review"),
    ("Models", "/models"),
    ("Monitoring", "/monitoring"),
    ("Quarantine", "/quarantine"),
)
DONE = {
    "put-back": "Put back into the inbox. The next intake reads it again.",
    "resolved": "Closed as resolved.",
    "hidden": "Closed as hidden.",
    "reopen": "Opened again.",
    "forgetting": "The request is stored. Its run waits for an approval in Airflow, and then until no other run is active.",
    "withdrawn": "Your verdict is taken back.",
    "asked": "The choice of the next reader is saved.",
    "deleted": "Deleted from the inbox.",
    "released": "Released. The intake takes them now, or refuses them with a reason.",
    "dropped": "The made-up recordings are in the inbox. The intake takes them over within seconds.",
}
"""What a page says after a form, by the word in its address: an address never brings its own sentence."""


HELP = {
    "answer.html": "decide-now",
    "backfill.html": "a-run",
    "beat.html": "a-record",
    "card.html": "models",
    "compare.html": "models",
    "earlier.html": "a-record",
    "entry.html": "quarantine",
    "first_steps.html": "first-steps",
    "forget.html": "forgetting",
    "help.html": "",
    "inbox.html": "inbox",
    "maintenance.html": "a-run",
    "models.html": "models",
    "monitoring.html": "monitoring",
    "overview.html": "overview",
    "quarantine.html": "quarantine",
    "reading.html": "review",
    "record.html": "a-record",
    "report.html": "reports",
    "reports.html": "reports",
    "review.html": "review",
    "run.html": "a-run",
    "verdicts.html": "review",
}
"""Template to the chapter of ``docs/pages.md`` that its link *Help* leads to."""


def page(request: Request, user: BaseUser, template: str, *, status_code: int = 200, **values: Any) -> HTMLResponse:
    """Render a page."""
    may = security.rights(user)
    content = (
        _environment()
        .get_template(f"ui/{template}")
        .render(
            base=request.scope["root_path"],
            path=request.scope["path"].removeprefix(request.scope["root_path"]),
            sections=(*SECTIONS, ("Forget", "/forget")) if may.forget else SECTIONS,
            user=user.get_name(),
            may=may,
            token=security.form_token(request, user) if may.any else "",
            done=DONE.get(request.query_params.get("done", ""), ""),
            assets=static_version(),
            help=f"pages#{HELP[template]}" if HELP.get(template) else "pages",
            **values,
        )
    )
    return HTMLResponse(content, status_code=status_code)


def error_page(request: Request, *, status_code: int, sentence: str) -> HTMLResponse:
    """Render a page for a user whose rights are not known, so it reveals nothing."""
    content = (
        _environment()
        .get_template("ui/error.html")
        .render(base=request.scope["root_path"], status_code=status_code, sentence=sentence, assets=static_version())
    )
    return HTMLResponse(content, status_code=status_code)


@cache
def static_files() -> dict[str, tuple[bytes, str]]:
    """Return every static file with its content type; the style sheet is the report's with this package's behind it."""
    found = {
        "style.css": (style().encode(), "text/css; charset=utf-8"),
        "ui.js": ((HERE / "static" / "ui.js").read_bytes(), "text/javascript; charset=utf-8"),
        "trace.js": ((REPORTING / "trace.js").read_bytes(), "text/javascript; charset=utf-8"),
    }
    icon = (HERE / "static" / "icon.svg").read_text()
    for name, colour in (("icon.svg", "#51504f"), ("icon-dark.svg", "#d5d5d5")):
        found[name] = (icon.replace("currentColor", colour).encode(), "image/svg+xml")
    return found


@cache
def static_version() -> str:
    """Return a text that changes with any static file, so that browsers may keep them."""
    return hashlib.sha256(b"".join(content for content, _ in static_files().values())).hexdigest()[:12]


def style() -> str:
    """Return the report's style sheet, dark where Airflow is dark and not only where the system is, and this package's own."""
    report = (REPORTING / "report.css").read_text()
    system_dark = re.compile(r"@media screen and \(prefers-color-scheme: dark\) \{\s*:root \{(.*?)\}\s*\}", re.DOTALL)
    found = system_dark.search(report)
    if found is None:
        raise ValueError("report.css has no dark colours where they are looked for")
    dark = (
        f"@media screen and (prefers-color-scheme: dark) {{ :root:not([data-theme=light]) {{{found[1]} color-scheme: dark; }} }}\n"
        f"@media screen {{ :root[data-theme=dark] {{{found[1]} color-scheme: dark; }} }}"
    )
    return f"{report.replace(found[0], dark)}\n{(HERE / 'static' / 'ui.css').read_text()}"


def address(path: str, **query: object) -> str:
    """Return a path with a query of what is not empty.

    >>> address("/reports", page=2, text="")
    '/reports?page=2'
    """
    given = {name: value for name, value in query.items() if value not in ("", None, False)}
    return f"{path}?{urlencode(given)}" if given else path


def when(text: str) -> str:
    """Format an ISO 8601 time as people read it.

    >>> when("2026-11-22T14:27:01+00:00")
    '2026-11-22 14:27 UTC'
    """
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
    except ValueError:
        return text


def size(n_bytes: int) -> str:
    """Format a file's size for people.

    >>> size(10), size(12_345), size(3_000_000)
    ('10 B', '12 kB', '3.0 MB')
    """
    if n_bytes < 1000:  # noqa: PLR2004 - a kilobyte
        return f"{n_bytes} B"
    return f"{n_bytes / 1e3:.0f} kB" if n_bytes < 1e6 else f"{n_bytes / 1e6:.1f} MB"  # noqa: PLR2004 - a megabyte


@cache
def _environment() -> Environment:
    report = FileSystemLoader(REPORTING)
    folders = PrefixLoader({"report": report, "ui": FileSystemLoader(HERE / "templates")})
    made = environment(ChoiceLoader([folders, report]), address=address)  # the report's templates name one another without a folder
    made.filters.update(when=when, words=words, sentences=sentences, size=size)
    return made
