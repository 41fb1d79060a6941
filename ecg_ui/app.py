"""Here: the application that Airflow mounts: its pages, each behind its check, and what it answers when something is wrong.

Not here: the pages themselves (``pages``), or the checks (``security``).
"""

from urllib.parse import urlencode

from fastapi import APIRouter, Depends, FastAPI, Request, Response, status
from fastapi.exceptions import RequestValidationError
from fastapi.responses import RedirectResponse
from starlette.exceptions import HTTPException

from ecg_tasks.errors import EcgError, MissingObjectError, StoreError
from ecg_ui import rendering, security, watching
from ecg_ui.pages import (
    answer,
    files,
    first_steps,
    forgetting,
    help_pages,
    inbox,
    models,
    monitoring,
    overview,
    quarantine,
    records,
    reports,
    review,
)

SHOWING = (answer, files, first_steps, forgetting, help_pages, inbox, models, monitoring, overview, quarantine, records, reports, review)
READ = tuple(module.router for module in SHOWING)
"""Everything that shows."""
CHANGE = (
    (answer.changes, security.may_run),
    (first_steps.changes, security.may_put_back),
    (forgetting.changes, security.may_forget),
    (inbox.changes, security.may_put_back),
    (models.changes, security.may_decide),
    (quarantine.changes, security.may_put_back),
    (records.changes, security.may_ask),
    (review.changes, security.may_label),
)
"""Everything that changes something, and the right for it."""


def create_app() -> FastAPI:
    """Make the application; no route is outside one of the three groups."""
    app = FastAPI(title="ECG", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    _include(app, READ, Depends(security.may_read), Depends(watching.noted))
    for router, right in CHANGE:
        _include(app, (router,), Depends(right), Depends(security.sent_from_here))
    _include(app, (static,), Depends(security.signed_in))
    app.add_middleware(security.SecurityHeaders)
    app.add_exception_handler(HTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _impossible)
    app.add_exception_handler(EcgError, _conflict)
    app.add_exception_handler(MissingObjectError, _missing)
    app.add_exception_handler(StoreError, _out_of_reach)
    return app


static = APIRouter()


@static.get("/static/{name}")
def static_file(name: str) -> Response:
    """Send a style sheet, script or icon; its address changes with its content."""
    found = rendering.static_files().get(name)
    if found is None:
        raise HTTPException(status.HTTP_404_NOT_FOUND)
    content, media_type = found
    return Response(content, media_type=media_type, headers={"cache-control": "private, max-age=31536000, immutable"})


def _include(app: FastAPI, routers: tuple[APIRouter, ...], *checks: object) -> None:
    for router in routers:
        app.include_router(router, dependencies=list(checks))  # type: ignore[arg-type]  # what Depends returns has no public type


async def _refused(request: Request, error: Exception) -> Response:
    """Send who has no session to the login page and back again; tell everybody else what is wrong."""
    assert isinstance(error, HTTPException)  # noqa: S101 - tells mypy what add_exception_handler cannot
    watching.seen(request).status = error.status_code
    watching.say_what(request)
    if error.status_code == status.HTTP_401_UNAUTHORIZED and request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        here = request.scope["path"] + (f"?{request.url.query}" if request.url.query else "")
        root = request.scope["root_path"].removesuffix("/ecg")
        return RedirectResponse(f"{root}/api/v2/auth/login?{urlencode({'next': here})}", status_code=status.HTTP_303_SEE_OTHER)
    sentences = {
        status.HTTP_401_UNAUTHORIZED: "Log in to Airflow first.",
        status.HTTP_404_NOT_FOUND: "There is nothing under this address.",
        status.HTTP_405_METHOD_NOT_ALLOWED: "This address takes no such request.",
    }
    sentence = sentences.get(error.status_code, str(error.detail))
    if sentence == "Forbidden":
        sentence = "You need more rights for this: ask an administrator of this Airflow."
    return rendering.error_page(request, status_code=error.status_code, sentence=sentence)


async def _impossible(request: Request, error: Exception) -> Response:
    """Show an error for an address or a form that cannot be meant."""
    assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
    in_path = any(found["loc"][0] == "path" for found in error.errors())
    if in_path:
        return rendering.error_page(request, status_code=status.HTTP_404_NOT_FOUND, sentence="There is nothing under this address.")
    fields = ", ".join(sorted({str(found["loc"][1]) for found in error.errors()}))
    return rendering.error_page(request, status_code=status.HTTP_400_BAD_REQUEST, sentence=f"This cannot be: {fields}.")


async def _conflict(request: Request, error: Exception) -> Response:
    """Show what the library refuses, in its own words."""
    return rendering.error_page(request, status_code=status.HTTP_409_CONFLICT, sentence=str(error))


async def _missing(request: Request, _: Exception) -> Response:
    return rendering.error_page(request, status_code=status.HTTP_404_NOT_FOUND, sentence="The bucket does not hold this (any more).")


async def _out_of_reach(request: Request, _: Exception) -> Response:
    return rendering.error_page(
        request, status_code=status.HTTP_503_SERVICE_UNAVAILABLE, sentence="The object store does not answer. Try again in a minute."
    )
