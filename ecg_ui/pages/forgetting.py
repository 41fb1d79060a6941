"""Here: the form by which an admin has a patient or a record forgotten, and what was forgotten. Not here: forgetting (``forget_patient``).

An id is in the body of a form and nowhere else: in no address, which logs and histories keep, and in no form of Airflow, whose run has the
token of the request.
"""

from typing import Annotated
from urllib.parse import urlencode

from airflow.api_fastapi.core_api.security import GetUserDep
from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from ecg_tasks.actions import forgetting
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.names import DagId
from ecg_tasks.queries.forgettings import forgettings
from ecg_tasks.queries.store import ObjectStore
from ecg_ui import deciding
from ecg_ui.inputs import ReasonForm, Store
from ecg_ui.rendering import page
from ecg_ui.security import rights

router = APIRouter()
changes = APIRouter()

IdForm = Annotated[str, Form(max_length=200)]


@router.get("/forget")
def show_forgetting(request: Request, user: GetUserDep, store: Store) -> Response:
    """Show the form, and what was forgotten, to those who may have it done."""
    listed = forgettings(store) if rights(user).forget else ()
    return page(request, user, "forget.html", listed=listed, meant=None, fault="", ids={"patient": "", "issuer": "", "record": ""})


@changes.post("/forget")
def look(request: Request, user: GetUserDep, store: Store, *, patient: IdForm = "", issuer: IdForm = "", record: IdForm = "") -> Response:
    """Show what would be forgotten, and ask for the reason; nothing is written."""
    return _found(request, user, store, patient=patient, issuer=issuer, record=record)


@changes.post("/forget/request")
def ask(
    request: Request, user: GetUserDep, store: Store, *, why: ReasonForm, patient: IdForm = "", issuer: IdForm = "", record: IdForm = ""
) -> Response:
    """Write the request and start its run, which asks a person before it changes anything."""
    try:
        meant = forgetting.find(store, patient=patient, issuer=issuer, record=record)
    except ConfigurationError:
        return _found(request, user, store, patient=patient, issuer=issuer, record=record)
    token = forgetting.request(store, meant, who=user.get_name(), why=why, approval=True)
    deciding.start(user, DagId.FORGET_PATIENT, forgetting.form(token))
    return RedirectResponse(f"{request.scope['root_path']}/forget?{urlencode({'done': 'forgetting'})}", status_code=303)


def _found(request: Request, user: GetUserDep, store: ObjectStore, **ids: str) -> Response:
    """Show what an id means, or the sentence why it means nothing."""
    meant, fault = None, ""
    try:
        meant = forgetting.find(store, **ids)
    except ConfigurationError as error:
        fault = str(error)
    status_code = 409 if fault else 200
    return page(request, user, "forget.html", status_code=status_code, listed=forgettings(store), meant=meant, fault=fault, ids=ids)
