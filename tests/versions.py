"""Here: a second model version out of a shipped one, for tests that need two. Not here: training one."""

import hashlib
import json
from pathlib import Path

from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.storage import registry

MODELS = Path(__file__).parents[1] / "models"


def todays_version(recipe: str, version: str, **changes: object) -> dict[str, bytes]:
    """Files of a version for today's pictures with the shipped champion's weights, as `registry.write_version` takes them."""
    files = registry.read_shipped(MODELS, shipped(recipe))
    spec = json.loads(files["model.json"]) | {"version": version, "recipe_digest": get_recipe(recipe).digest} | changes
    files["model.json"] = json.dumps(spec).encode()
    sums = [f"{hashlib.sha256(data).hexdigest()}  {name}" for name, data in sorted(files.items()) if name != registry.SUMS]
    return files | {registry.SUMS: "\n".join(sums).encode()}


def shipped(recipe: str) -> registry.Champion:
    """The champion of a recipe that comes with the program."""
    return next(one for one in registry.shipped_champions(MODELS) if one.recipe == recipe)
