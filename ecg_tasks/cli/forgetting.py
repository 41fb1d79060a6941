"""Here: ``forget`` and ``allow-again``, and what a restored backup forgets. Not here: forgetting (DAG ``forget_patient``).

No id reaches Airflow, which keeps what is in a form: the request lies in the bucket, and the form has its token.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ecg_tasks.cli import runs
from ecg_tasks.cli.stack import open_bucket, running_stack
from ecg_tasks.cli.terminal import complain, console, say
from ecg_tasks.counts import number_of
from ecg_tasks.names import DagId

if TYPE_CHECKING:
    from deploy.embedded import Stack
    from ecg_tasks.actions.forgetting import Meant

ON_RESTORE = "forgotten.json"
"""In the state folder of a restored stack: what it still has to forget."""
_SHOWN = 20


def forget(
    *,
    patient: Annotated[str, typer.Option(help="Id of a patient, as the recordings or a label table have it.", metavar="ID")] = "",
    record: Annotated[str, typer.Option(help="Id of one record, as its page and the reports have it.", metavar="ID")] = "",
    issuer: Annotated[str, typer.Option(help="Who gave the patient's id, where recordings say that (DICOM, aECG).")] = "",
    why: Annotated[str, typer.Option(help="The reason; kept for ever with your name. Write no name and no id into it.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what is found.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for a confirmation.")] = False,
    approval: Annotated[bool, typer.Option("--approval", help="A person must approve it in Airflow before anything is changed.")] = False,
) -> None:
    """Forget a patient, or one record, in everything: bytes, records, names, labels, pictures, decisions, reports, accounts.

    Numbers stay, and say how many were forgotten. A second drop of the same recording is refused until ./ecg allow-again. Models that
    learned from it are listed, and stay as they are. Backups and exported files that you keep elsewhere still have it.
    """
    from ecg_tasks.actions import forgetting

    stack, store = running_stack(), open_bucket()
    meant = forgetting.find(store, patient=patient, issuer=issuer, record=record)
    _show(meant)
    if dry_run:
        say("dry run: nothing was changed")
        return
    if not yes:
        typer.confirm("Forget this for good?", abort=True)
    token = forgetting.request(store, meant, who=stack.login, why=why, approval=approval)
    _run(stack, token)
    keep_list(stack)


def allow_again(
    *,
    record: Annotated[str, typer.Option(help="Id of a record that was forgotten.", metavar="ID")] = "",
    token: Annotated[str, typer.Option(help="Token of a forgetting, as ./ecg audit shows it: all records of it.")] = "",
    why: Annotated[str, typer.Option(help="The reason; kept for ever with your name.")],
) -> None:
    """Let a recording that was forgotten be taken over again if it is dropped again."""
    from ecg_tasks.actions import forgetting

    stack = running_stack()
    say(forgetting.allow_again(open_bucket(), who=stack.login, why=why, record=record, token=token))
    keep_list(stack)


def keep_list(stack: "Stack") -> Path:
    """Write the digests of all that is forgotten beside the state folder, where they stay when this goes; returns the file."""
    from deploy.embedded.home import write_private
    from ecg_tasks.actions import forgetting

    file = list_of(stack.home.path)
    write_private(file, json.dumps({"digests": list(forgetting.digests(open_bucket()))}, indent=1) + "\n")
    say(f"{file} lists, as digests, what a restored backup has to forget: keep it with your backups")
    return file


def renew_list(stack: "Stack") -> None:
    """Write that list again where it lacks something: a page asks for a forgetting, too, and does not write beside the state folder."""
    from ecg_tasks.actions import forgetting

    known = set(forgetting.digests(open_bucket()))
    file = list_of(stack.home.path)
    if known - set(json.loads(file.read_text())["digests"] if file.exists() else ()):
        keep_list(stack)


def list_of(home: Path) -> Path:
    """Return the file beside a state folder that says what a restored backup has to forget."""
    return home.with_name(f"{home.name}-{ON_RESTORE}")


def forget_restored(stack: "Stack") -> None:
    """Forget what a backup still had that was forgotten since it was made; the list goes when that is done."""
    from ecg_tasks.actions import forgetting

    file = stack.home.path / ON_RESTORE
    if not file.exists():
        return
    store = open_bucket()
    meant = forgetting.find_listed(store, json.loads(file.read_text())["digests"])
    if meant is not None:
        say("the backup has recordings that were forgotten since then: they are forgotten again")
        _run(stack, forgetting.request(store, meant, who=stack.login, why="a backup was restored that still had it"))
    file.unlink()


def _show(meant: "Meant") -> None:
    say(number_of(meant.n_records, "record", "records"))
    for record_id in meant.record_ids[:_SHOWN]:
        console().print(f"  {record_id}", markup=False, highlight=False)
    if meant.n_records > _SHOWN:
        say(f"  … and {meant.n_records - _SHOWN:,} more")
    for recipe, version, serves in meant.learnt_by:
        say(f"{recipe} {version} learnt from it{' and serves' * serves}")


def _run(stack: "Stack", token: str) -> None:
    from ecg_tasks.actions import forgetting

    dag = DagId.FORGET_PATIENT
    with stack.airflow() as api, runs.progress() as bars:
        run = api.trigger(dag, forgetting.form(token))
        say(f"request {token}; if this command is interrupted, continue with ./ecg run {dag} --conf '{json.dumps(forgetting.form(token))}'")
        state = runs.follow(api, dag, run, bars)
        note = api.note(dag, run)
    if note:
        say(note)
    if state != "success":
        complain(f"{dag} {run} {state}; its log is in the web interface (./ecg open). Request {token} can be started again")
        raise typer.Exit(1)
