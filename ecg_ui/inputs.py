"""Here: what a page is called with: the bucket, and what an address or a form may hold, checked. Not here: rights (``security``)."""

from typing import Annotated

from fastapi import Depends, Form, Path, Query, Request
from pydantic import AfterValidator, StringConstraints

from ecg_tasks.queries.store import ObjectStore, open_store, open_to_look
from ecg_tasks.signals.recipes import RECIPES

RECORD = r"^[0-9a-f]{32}$"
ENTRY = r"^[0-9a-f]{64}(-[0-9a-f]{16})?$"
WAITING = r"^[0-9a-f]{24}$"
"""Id of a file that waits in the inbox."""
DATE = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"
RUN = r"^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,248}[A-Za-z0-9_])?$"
"""What ``keys.run_key`` makes: never ``..``, no slash."""
VERSION = r"^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,63})$"
WHEN = r"^[0-9T:.+Z-]{10,40}$"
DECISION = r"^page__[0-9T:.+Z-]{10,40}-[0-9a-f]{8}$"
"""Id of a run that ``deciding`` started."""
DAG = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,249}$"
"""A DAG's id as Airflow allows it, less those that begin with a point or dash: ``..`` must not become part of a key."""
MAX_OFFSET = 10_000_000
MAX_REASON = 500


def _recipe(name: str) -> str:
    if name not in RECIPES:
        raise ValueError("there is no such recipe")
    return name


RecipeName = Annotated[str, AfterValidator(_recipe)]
"""One of the recipes there are."""


def _bucket(request: Request) -> ObjectStore:
    return open_to_look() if request.method in {"GET", "HEAD"} else open_store()


Store = Annotated[ObjectStore, Depends(_bucket)]
"""The bucket, to be handed to a query or an action."""
RecordPath = Annotated[str, Path(pattern=RECORD)]
EntryPath = Annotated[str, Path(pattern=ENTRY)]
DatePath = Annotated[str, Path(pattern=DATE)]
RunPath = Annotated[str, Path(pattern=RUN)]
VersionPath = Annotated[str, Path(pattern=VERSION)]
VersionQuery = Annotated[str, Query(pattern=VERSION)]
DagId = Annotated[str, Query(pattern=DAG)]
Offset = Annotated[int, Query(ge=0, le=MAX_OFFSET)]
RecordForm = Annotated[str, Form(pattern=RECORD)]
VersionForm = Annotated[str, Form(pattern=VERSION)]
WhenForm = Annotated[str, Form(pattern=WHEN)]
ReasonForm = Annotated[str, Form(min_length=3, max_length=MAX_REASON)]
OverrideForm = Annotated[str, Form(max_length=MAX_REASON)]
MAX_FILES = 200
WaitingForm = Annotated[tuple[Annotated[str, StringConstraints(pattern=WAITING)], ...], Form(min_length=1, max_length=MAX_FILES)]
DecisionQuery = Annotated[str | None, Query(pattern=DECISION)]
