"""Here: one recording, or one stored picture, classified without any stack. Not here: the nightly run (``classify_records``)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ecg_tasks import readers
from ecg_tasks.archive import registry
from ecg_tasks.errors import BadInputError, ConfigurationError, Reason
from ecg_tasks.labels import ClassDecision, Decision
from ecg_tasks.learning.decisions import RecordDecisions
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.learning.version import METRICS, SPEC, Metrics, ModelSpec
from ecg_tasks.offline import behind_walls
from ecg_tasks.offline.report_rows import report_rows
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.pipeline.champions.versions import flagged
from ecg_tasks.readers import Rejected
from ecg_tasks.readers.file_names import header_beside, is_signal
from ecg_tasks.readers.wfdb.lines import matching_name
from ecg_tasks.report_columns import Row
from ecg_tasks.reporting.facts import Fact, facts_of
from ecg_tasks.reporting.measured import Line, measured_lines
from ecg_tasks.settings import Settings
from ecg_tasks.signals.flags import join_flags, sentences
from ecg_tasks.signals.measurements import measure
from ecg_tasks.signals.recipes import RECIPES, Rendered, get_recipe
from ecg_tasks.signals.record import Record

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, kw_only=True)
class ClassifiedClass:
    """What a model says of one class of a recording; ``probability`` is nan if no window is good enough."""

    name: str
    decision: ClassDecision
    probability: float
    threshold: float
    abstain: tuple[float, float]
    """(lo, hi): inside, ends included, it is uncertain."""


@dataclass(frozen=True, kw_only=True)
class Classified:
    """What a model says of one recording; ``probability`` is P(abnormal), nan if no window is good enough."""

    name: str
    record_id: str
    decision: Decision
    probability: float
    threshold: float
    recipe: str
    version: str
    synthetic_model: bool
    seconds_read: str = ""
    """Such as ``0-20 of 25 s``; empty for a heartbeat row and a picture."""
    remarks: tuple[str, ...] = ()
    """What is wrong with the recording or was done to it, one sentence each."""
    facts: tuple[Fact, ...] = ()
    """What its file tells of the person, the time, the device and the filters; none for a heartbeat row and a picture."""
    measured: tuple[Line, ...] = ()
    """What was measured of it; none for a heartbeat row and a picture."""
    classes: tuple[ClassifiedClass, ...] = ()
    """In the order of the version; nothing where it reports none."""
    row: Row = field(default_factory=dict)
    """The same with the columns of a report; none for a picture."""


@dataclass(frozen=True, kw_only=True)
class FileClassified:
    """The result for a file: its recordings' decisions, and the rows that could not be read."""

    results: tuple[Classified, ...]
    rejected: tuple[Rejected, ...]


@cache
def _shipped_files(recipe: str, folder: Path) -> Mapping[str, bytes]:
    """Return the files of the champion of a recipe in a models folder; `ConfigurationError` where there is none."""
    for champion in registry.shipped_champions(folder):
        if champion.recipe == recipe:
            return registry.read_shipped(folder, champion)
    raise ConfigurationError(f"there is no {recipe} model in {folder}; train one with the DAG retrain_model")


@cache
def shipped_classifier(recipe: str, folder: Path = SHIPPED_MODELS) -> Classifier:
    """Return the champion of a recipe in a models folder.

    Raises
    ------
    ConfigurationError
        If the folder has none.
    """
    return Classifier.from_files(_shipped_files(recipe, folder))


def shipped_classes(recipes: Sequence[str], folder: Path = SHIPPED_MODELS) -> tuple[str, ...]:
    """Return the classes that the champions of these recipes report, each once; what has no champion in the folder reports none."""
    specs = [
        ModelSpec.from_json(registry.read_shipped(folder, champion)[SPEC])
        for recipe in recipes
        for champion in registry.shipped_champions(folder)
        if champion.recipe == recipe
    ]
    return tuple(dict.fromkeys(rule.name for spec in specs for rule in spec.classes))


def classify_file(path: Path, *, recipe: str | None = None, models: Path = SHIPPED_MODELS) -> FileClassified:
    """Classify every recording in a file of any format that is read, with those beside it that it needs.

    Without ``recipe``, the first that takes the recording decides, as in the nightly run.

    Raises
    ------
    BadInputError
        If the file, or a recording by this recipe, cannot be read.
    """
    names = (recipe,) if recipe else Settings.recipes
    reading = read_path(path)
    return FileClassified(results=decide_records(reading.records, names, models), rejected=reading.rejected)


def recipe_for(record: Record, names: Sequence[str]) -> str:
    """Return the first recipe that takes a recording; `BadInputError` where none does."""
    chosen = next((name for name in names if get_recipe(name).accepts(record)), None)
    if chosen is None:
        sentence = f"{record.name}: the recipe {' or '.join(names)} needs other leads or a longer recording"
        raise BadInputError(Reason.MISSING_LEAD, sentence)
    return chosen


def decide_records(records: Sequence[Record], names: Sequence[str], models: Path) -> tuple[Classified, ...]:
    """Decide on recordings, each by the first recipe that takes it; returns the results in their order."""
    rows_by_recipe: dict[str, list[int]] = {}
    for row, record in enumerate(records):
        rows_by_recipe.setdefault(recipe_for(record, names), []).append(row)
    found: dict[int, Classified] = {}
    for name, rows in rows_by_recipe.items():
        found.update(zip(rows, _classify([records[row] for row in rows], name, models), strict=True))
    return tuple(found[row] for row in range(len(records)))


def ECG_Classifier(img_path: str | Path, *, models: Path = SHIPPED_MODELS, show: bool = True) -> Classified:  # noqa: N802  # its name since the first notebook
    """Classify one stored picture and show it with the class as its title.

    The recipe follows from the picture's size. The answer is the nightly run's for a record of this one window.

    Parameters
    ----------
    img_path : PNG as stored in ``spectrograms/``
    models : folder of champions, laid out as ``models/`` in the bucket
    show : False to return the answer only

    Raises
    ------
    BadInputError
        If the file is no picture, or its size is that of no recipe.
    """
    png = Path(img_path).read_bytes()
    recipe = _recipe_of(png, Path(img_path).name)
    classifier = shipped_classifier(recipe, models)
    outputs = classifier.predict_outputs(get_recipe(recipe).decode([png]))
    one = np.zeros(1, dtype=np.int64)
    decided = classifier.decide(one, outputs, np.ones(1, np.float32), n_records=1)
    result = Classified(
        name=Path(img_path).name,
        record_id="",
        decision=decided.decision[0],
        probability=float(decided.probability[0]),
        threshold=classifier.spec.threshold,
        recipe=recipe,
        version=classifier.spec.version,
        synthetic_model=classifier.spec.synthetic,
        classes=_classes(decided, 0),
    )
    if show:
        from matplotlib import pyplot as plt

        figure_of(_pixels(png, Path(img_path).name), title=result.decision.value)
        plt.show()
    return result


def plot(first: Record, *, recipe: str | None = None, out: Path, models: Path = SHIPPED_MODELS) -> Classified:
    """Classify a recording and draw its first picture with the class as title, as `ECG_Classifier` does."""
    name = recipe or next(name for name in Settings.recipes if get_recipe(name).accepts(first))
    (result,) = _classify([first], name, models)
    png = next((png for png in get_recipe(name).render([first]).png if png), b"")
    figure = figure_of(_pixels(png, first.name), title=f"{result.name}: {result.decision.value}")
    figure.savefig(out, dpi=150)
    return result


def figure_of(pixels: NDArray[np.uint8], *, title: str) -> "Figure":
    """Draw one picture under a title."""
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(layout="constrained")
    axes.imshow(pixels, cmap="magma", aspect="auto")
    axes.set_title(title)
    axes.set_axis_off()
    return figure


def _classify(records: list[Record], recipe_name: str, models: Path) -> list[Classified]:
    recipe = get_recipe(recipe_name)
    classifier = shipped_classifier(recipe_name, models)
    rendered: Rendered = recipe.render(records)
    drawn = np.flatnonzero(rendered.window >= 0)
    outputs = classifier.predict_outputs(recipe.decode([rendered.png[row] for row in drawn]))
    decided = classifier.decide(rendered.record[drawn], outputs, rendered.quality[drawn], n_records=len(records))
    rows = [np.flatnonzero(rendered.record == row).tolist() for row in range(len(records))]
    read = [rendered.read[found[0]] for found in rows]
    flags = [join_flags(*(rendered.flags[at] for at in found)) for found in rows]
    files = _shipped_files(recipe_name, models)
    ages = Metrics.from_json(files[METRICS]).ages
    flags = [flagged(found, ages, age=record.age) for found, record in zip(flags, records, strict=True)]
    measured = [None if record.is_heartbeat else measure(record) for record in records]
    reported = report_rows(
        records,
        decided,
        rendered,
        spec=classifier.spec,
        digest=registry.digest(files),
        flags=flags,
        seconds_read=read,
        measured=measured,
    )
    return [
        Classified(
            name=record.name,
            record_id=record.record_id,
            decision=decided.decision[row],
            probability=float(decided.probability[row]),
            threshold=classifier.spec.threshold,
            recipe=recipe_name,
            version=classifier.spec.version,
            synthetic_model=classifier.spec.synthetic,
            seconds_read=read[row],
            remarks=tuple(sentences(flags[row])),
            facts=() if record.is_heartbeat else tuple(facts_of(record)),
            measured=() if (found := measured[row]) is None else tuple(measured_lines(found.row)),
            classes=_classes(decided, row),
            row=reported[row],
        )
        for row, record in enumerate(records)
    ]


def _classes(decided: RecordDecisions, row: int) -> tuple[ClassifiedClass, ...]:
    return tuple(
        ClassifiedClass(
            name=one.rule.name,
            decision=one.decision[row],
            probability=float(one.probability[row]),
            threshold=one.rule.threshold,
            abstain=one.rule.abstain,
        )
        for one in decided.classes
    )


def read_path(
    path: Path, *, name: str = "", beside: Mapping[str, bytes] = MappingProxyType({}), made: Callable[[], bytes] | None = None
) -> readers.Read:
    """Read a file on a disk, with those beside it that it needs.

    Parameters
    ----------
    name : what its recordings are called by; the file's own by default
    beside : further files that are not on the disk, by name; one of that name on the disk goes before
    made : makes the bytes to read, where they are a part of the file's

    Raises
    ------
    BadInputError
        If it cannot be read, or a file that it needs is not there.
    """
    path = _with_header(path)
    there: dict[str, Callable[[], bytes]] = {called: partial(bytes, data) for called, data in beside.items()}
    there |= {file.name: file.read_bytes for file in path.parent.iterdir() if file.is_file()}
    return behind_walls.read(name or path.name, readers.gather(path.name, made() if made else path.read_bytes(), there))


def _with_header(path: Path) -> Path:
    """Return the header beside a signal file, which is what a person means who names that; any other path as it is."""
    if not is_signal(path.name) or not path.is_file():
        return path
    wanted = header_beside(path.name)
    header = matching_name(wanted, {file.name for file in path.parent.iterdir()})
    if header is None and readers.reader_of(path.name, _head(path)) is not None:  # an array of its own
        return path
    if header is None:
        raise BadInputError(Reason.INCOMPLETE, f"{path.name} needs its header {wanted}, which is not in the same folder")
    return path.parent / header


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(readers.HEAD_BYTES)


def _recipe_of(png: bytes, name: str) -> str:
    shape = _pixels(png, name).shape[:2]
    for recipe in RECIPES.values():
        if recipe.picture.png_shape == shape:
            return recipe.name
    known = ", ".join(f"{recipe.name} {recipe.picture.png_shape}" for recipe in RECIPES.values())
    raise BadInputError(Reason.UNKNOWN_FORMAT, f"{name} has {shape[0]} × {shape[1]} pixels; the recipes draw {known}")


def _pixels(png: bytes, name: str) -> NDArray[np.uint8]:
    """Return pixels as OpenCV reads them, colours as RGB."""
    import cv2

    found = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None:
        raise BadInputError(Reason.UNREADABLE, f"{name} is not a picture that OpenCV can read")
    colour = found.ndim == 3 and found.shape[2] >= 3  # noqa: PLR2004  # blue, green, red
    return np.asarray(found[:, :, 2::-1] if colour else found, dtype=np.uint8)
