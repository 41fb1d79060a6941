"""Here: the model card, in Markdown, from a version's specification and figures. Not here: computing any of them.

After Mitchell et al., Model cards for model reporting, FAT* 2019 (arXiv 1810.03993).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

INTENDED_USE = (
    "Research use only. This is not a medical device: it must not be used to diagnose, to treat, or to decide on the care of "
    "a person. It sorts recordings for people who look at them afterwards."
)
LIMITS = (
    "It knows two classes, normal and abnormal, as its sources label them; it names no disease.",
    "Its figures hold for recordings like those it was tested on: device, population, prevalence and lead placement all move them.",
    "A recording of poor quality gives no decision, and one inside the abstain band is left to a person.",
    "Weights, figures and decisions say nothing about records of patients that were used for training.",
)
SYNTHETIC_NOTICE = "**Trained on synthetic recordings made by a program. Its figures say nothing about people.**"

Plain = Mapping[str, Any]


def model_card(spec: Plain, *, metrics: Plain, sides: Mapping[str, str]) -> str:
    """The card's text.

    Parameters
    ----------
    spec : the fields of a ``ModelSpec``
    metrics : as in ``metrics.json``; every object in it becomes a section
    sides : record id to side of the split
    """
    return "\n".join(_lines(spec, metrics, sides)) + "\n"


def _lines(spec: Plain, metrics: Plain, sides: Mapping[str, str]) -> Iterator[str]:
    yield f"# Model card: {spec['recipe']}, version {spec['version']}"
    yield ""
    if spec["synthetic"]:
        yield from (SYNTHETIC_NOTICE, "")
    yield from ("## Intended use", "", INTENDED_USE, "")
    yield from ("## What it is", "")
    height, width, channels = spec["image_shape"]
    lo, hi = spec["abstain"]
    yield f"- Network `{spec['network']}`, {spec['n_weights']:,} weights, reading pictures of {height} × {width} × {channels}."
    yield f"- Pictures made by recipe `{spec['recipe']}@{spec['recipe_digest']}`; it reads no others."
    yield f"- A window's score is P({spec['class_order'][1]}). A record's probability is the sigmoid of the mean log-odds of its windows"
    yield f"  with a quality of at least {_number(spec['min_quality'])}, divided by the temperature {_number(spec['temperature'])}."
    yield f"- Decision: uncertain from {_number(lo)} to {_number(hi)}; else abnormal from {_number(spec['threshold'])} on, normal below."
    yield ""
    yield from ("## Data", "", f"Data set `{spec['dataset_id']}`.", "")
    yield from _table(("side", "records"), [(str(side), str(n)) for side, n in sorted(Counter(map(str, sides.values())).items())])
    yield "Every record with its side is listed in `training_records.csv`."
    yield ""
    yield from ("## Figures", "")
    yield from _section(metrics, level=3)
    yield from ("## Limits", "")
    yield from (f"- {limit}" for limit in LIMITS)
    yield from ("", "## Training", "", f"Seed {spec['seed']}.", "")
    yield from _section(spec["training"], level=3)
    yield from ("## Environment", "")
    yield from _section(spec["environment"], level=3)
    yield from ("## Credits", "")
    yield from (f"- {source}" for source in spec["sources"] or ("No source was stated.",))


def _section(values: Plain, *, level: int) -> Iterator[str]:
    """Single values in one table, figures with intervals in another, and each object or list of objects below its own heading."""
    figures = {name: value for name, value in values.items() if _is_figure(value)}
    objects = {name: value for name, value in values.items() if name not in figures and (isinstance(value, Mapping) or _is_course(value))}
    singles = [(_words(name), _value(value)) for name, value in values.items() if name not in figures and name not in objects]
    if singles:
        yield from _table(("", "value"), singles)
    if figures:
        rows = [(_words(name), _number(f["value"]), f"{_number(f['low'])} to {_number(f['high'])}") for name, f in figures.items()]
        yield from _table(("figure", "value", "95 % interval"), rows)
    for name, value in objects.items():
        yield from (f"{'#' * level} {_words(name)}", "")
        if isinstance(value, Mapping):
            yield from _section(value, level=min(level + 1, 6))
        else:
            yield from _table(tuple(map(_words, value[0])), [tuple(map(_value, row.values())) for row in value])


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|').replace(chr(10), ' ') for cell in row)} |"
    yield ""


def _is_figure(value: object) -> bool:
    return isinstance(value, Mapping) and {"value", "low", "high"} <= value.keys()


def _is_course(value: object) -> bool:
    """Whether it is a list of objects that have the same fields, as the epochs of a training have."""
    return (
        isinstance(value, list | tuple)
        and len(value) > 0
        and all(isinstance(row, Mapping) and row.keys() == value[0].keys() for row in value)
    )


def _value(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(_value, value))
    return _number(value) if isinstance(value, float) or value is None else str(value)


def _number(value: object) -> str:
    """Four significant digits; a figure that could not be computed is a dash."""
    return "–" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    return name.replace("_", " ")
