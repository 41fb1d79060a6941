"""Here: the worked examples of CONTRIBUTING.md, run. Not here: what they must do (``test_contributing``, ``ecg_ui/test_pages``)."""

import re
from pathlib import Path
from typing import Any

TEXT = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


def example(name: str) -> dict[str, Any]:
    """Run the example whose first line is a comment with its name; returns what it defines."""
    (code,) = re.findall(rf"```python\n# {name}\n(.*?)```", TEXT, re.DOTALL)
    defined: dict[str, Any] = {"__name__": f"contributing_{name}"}
    exec(compile(code, f"CONTRIBUTING.md, {name}", "exec"), defined)  # noqa: S102 - our own text
    return defined


def template(name: str) -> str:
    """Return the example of a template."""
    (text,) = re.findall(rf"```html\n{{# {name} #}}\n(.*?)```", TEXT, re.DOTALL)
    return text
