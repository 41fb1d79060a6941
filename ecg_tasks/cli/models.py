"""Here: ``export``: a champion out of the bucket, to be shipped. Not here: training or promoting one (DAG ``retrain_model``)."""

import os
from pathlib import Path
from typing import Annotated

import typer

from ecg_tasks.cli.stack import running_stack
from ecg_tasks.cli.terminal import say


def export(
    recipe: Annotated[str, typer.Argument(help="twelve_lead, heartbeat or notebook.")],
    folder: Annotated[Path | None, typer.Argument(help="Where to; default: models/ of this checkout.", file_okay=False)] = None,
) -> None:
    """Write the champion of a recipe, with its card, into a folder laid out as models/ in the bucket."""
    from ecg_tasks.steps import seed

    os.environ.update(running_stack().environment())
    say(f"written to {seed.export_champion(recipe, folder or seed.SHIPPED_MODELS)}")
