"""Here: the list of commands, and what an error looks like to a person. Not here: what a command does."""

import sys
from typing import Annotated

import typer

from ecg_tasks import __version__
from ecg_tasks.cli import (
    audit,
    backup,
    checks,
    completion,
    deidentify,
    demo,
    distributed,
    evaluate,
    forgetting,
    inbox,
    kept,
    lineage,
    models,
    reports,
    runs,
    service,
    setup,
    single,
    stack,
    starting,
    users,
    waiting,
)
from ecg_tasks.cli.checkout import commit
from ecg_tasks.cli.terminal import complain
from ecg_tasks.errors import EcgError

app = typer.Typer(
    name="ecg",
    help="ECG recordings in, spectrograms, models and reports out. Research software, not a medical device.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

EVERYTHING, STACK, DATA, MODELS = "Everything at once", "The stack", "Recordings", "Models"
RECORD, DEVELOPMENT = "Who did what, and where things come from", "Development"

app.command(rich_help_panel=EVERYTHING)(demo.demo)
app.command(rich_help_panel=STACK)(starting.up)
app.command(rich_help_panel=STACK)(stack.down)
app.command(rich_help_panel=STACK)(stack.status)
app.command(rich_help_panel=STACK)(stack.logs)
app.command("open", rich_help_panel=STACK)(stack.open_ui)
app.add_typer(users.app, name="users", rich_help_panel=STACK)
app.add_typer(service.app, name="service", rich_help_panel=STACK)
app.command(rich_help_panel=STACK)(backup.backup)
app.command(rich_help_panel=STACK)(backup.restore)
app.command("backup-key", rich_help_panel=STACK)(backup.backup_key)
app.command(rich_help_panel=STACK)(kept.kept)
app.command(rich_help_panel=STACK)(distributed.secrets)
app.command(rich_help_panel=DATA)(inbox.put)
app.command("import", rich_help_panel=DATA)(inbox.import_)
app.command(rich_help_panel=DATA)(inbox.download)
app.add_typer(waiting.app, name="inbox", rich_help_panel=DATA)
app.command(rich_help_panel=DATA)(runs.run)
app.command(rich_help_panel=DATA)(single.classify)
app.command(rich_help_panel=DATA)(evaluate.evaluate)
app.command("export-report", rich_help_panel=DATA)(reports.export_report)
app.command("export-labels", rich_help_panel=DATA)(reports.export_labels)
app.add_typer(models.app, name="models", rich_help_panel=MODELS)
app.command(rich_help_panel=MODELS)(models.promote)
app.command(rich_help_panel=MODELS)(models.rollback)
app.command(rich_help_panel=MODELS)(models.reject)
app.command(rich_help_panel=MODELS)(models.export)
app.command(rich_help_panel=RECORD)(audit.audit)
app.command(rich_help_panel=RECORD)(lineage.lineage)
app.command(rich_help_panel=RECORD)(forgetting.forget)
app.command("allow-again", rich_help_panel=RECORD)(forgetting.allow_again)
app.command(rich_help_panel=RECORD)(deidentify.deidentify)
app.command(rich_help_panel=DEVELOPMENT, context_settings=checks.PASS_ON)(checks.test)
app.command(rich_help_panel=DEVELOPMENT, context_settings=checks.PASS_ON)(checks.bench)
app.command(rich_help_panel=DEVELOPMENT)(setup.setup)
app.command(rich_help_panel=DEVELOPMENT)(completion.completion)


def _print_version(asked: bool) -> None:  # noqa: FBT001 - typer calls it so
    if asked:
        print(f"ecg {__version__}{f' ({commit()})' if commit() else ''}")  # noqa: T201 - for a program
        raise typer.Exit


@app.callback()
def _options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and the commit of a checkout.")
    ] = False,
) -> None:
    del version


def main() -> None:
    """Run one command; an error that was foreseen is a sentence, not a traceback."""
    completion.answer_the_shell()
    try:
        app(prog_name="ecg")
    except EcgError as error:
        complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
