"""Here: the evaluation of a model on a labelled folder, without any stack. Not here: the figures (``evaluation.assessment``), or layouts.

Recordings are read, drawn and scored a few at a time, so that a folder of any size takes the same memory. Records that a version
was trained on are left out. The others are evaluated with the code that made its card.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ecg_tasks.archive.class_lists import ClassEntry, KnownClasses, classes_in_force
from ecg_tasks.archive.labelling import LabelEntry
from ecg_tasks.archive.stored_names import site_in
from ecg_tasks.archive.workspace import patient_hash, public_patient
from ecg_tasks.errors import BadInputError, NotEnoughDataError, Reason
from ecg_tasks.labels import CLASS_ORDER, RESEARCH_USE
from ecg_tasks.offline.archive_file import unpacked
from ecg_tasks.offline.classify_file import read_path
from ecg_tasks.offline.labelled_folders import LabelledFolder, open_parts
from ecg_tasks.offline.model_evaluator import ModelEvaluation, ModelEvaluator
from ecg_tasks.offline.shipped import find_models
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.readers import Read, Rejected
from ecg_tasks.readers.file_names import HEADER_SUFFIX, SIDECAR, is_header
from ecg_tasks.settings import Settings
from ecg_tasks.signals.record import Record

SCHEMA_VERSION = 1
"""Grows when a program that reads the JSON would have to change."""
_JSON_NAMES = {"evaluated": "judged"}
"""Counts that have another name in the JSON, for programs that read it."""


@dataclass(frozen=True, kw_only=True)
class FolderCounts:
    """How many records the folder names, by result; ``received`` is the sum of all others."""

    received: int
    evaluated: int
    left_out: int
    uninterpretable: int
    unlabelled: int
    duplicates: int
    not_taken: int
    missing: int
    unreadable: int

    def __post_init__(self) -> None:
        if self.received != sum(vars(self).values()) - self.received:
            raise AssertionError(f"the counts do not add up: {self}")


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderEvaluation:
    """The result of a folder; ``evaluated`` has one entry for each model that had any record, in the order of the recipes."""

    folder: Path
    kind: str
    counts: FolderCounts
    rejected: Sequence[Rejected]
    missing: Sequence[str]
    evaluated: Sequence[ModelEvaluation]
    unknown: Mapping[str, int] = field(default_factory=dict)
    """Statements that the collection's table does not have, and how many recordings have each."""
    sites: Mapping[str, int] = field(default_factory=dict)
    """Number of recordings that were read of each site that was asked for."""

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``--json``: the first model's figures at the top level, those of further models under ``others``."""
        first, *others = [_plain(one) for one in self.evaluated]
        return {
            "schema_version": SCHEMA_VERSION,
            "notice": RESEARCH_USE,
            "folder": str(self.folder),
            "layout": self.kind,
            "account": {_JSON_NAMES.get(name, name): number for name, number in vars(self.counts).items()},
            "unreadable": {
                "by_reason": dict(sorted(Counter(one.reason.value for one in self.rejected).items())),
                "records": [{"name": one.name, "reason": one.reason.value, "message": one.message} for one in self.rejected],
            },
            "missing": list(self.missing),
            **({"sites": dict(self.sites)} if self.sites else {}),
            **first,
            "others": others,
        }


def evaluate_folder(
    folder: Path,
    *,
    recipe: str | None = None,
    model: str | None = None,
    models: Path = SHIPPED_MODELS,
    patient_key: bytes | None = None,
    sites: Sequence[str] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> FolderEvaluation:
    """Evaluate models on every labelled record of a folder that they were not trained on.

    Parameters
    ----------
    folder : a public collection that is known, heartbeat CSVs, or recordings with a ``labels.csv``; or an archive, which is unpacked
    recipe : the recipe to evaluate; None for the first that accepts a recording, as in the nightly run
    model : version of a model in ``models``, or the folder of one; None for the champions
    models : laid out as ``models/`` in the bucket
    patient_key : of this installation, by which private patients are known that a version was trained on
    sites : folders directly in ``folder`` that are sites: a recording in one is decided on by the rule of that site, where a version has
        one; ``folder`` may be one itself
    progress : called with the number of files read so far, and of all files

    Raises
    ------
    BadInputError
        If the folder is no labelled folder.
    ConfigurationError
        If there is no such model.
    NotEnoughDataError
        If no record is left to evaluate; the message says why.
    """
    if folder.is_file():
        with unpacked(folder) as inside:
            found_inside = evaluate_folder(
                inside, recipe=recipe, model=model, models=models, patient_key=patient_key, sites=sites, progress=progress
            )
        return replace(found_inside, folder=folder)
    chosen = find_models(models, recipes=(recipe,) if recipe else Settings.recipes, wanted=model)
    evaluators = [ModelEvaluator(one, key=patient_key) for one in chosen]
    parts = open_parts(folder, sites)
    n_files, done = sum(len(labelled.files) for labelled in parts.values()), 0
    found: Counter[str] = Counter()
    unknown: Counter[str] = Counter()
    n_of_site = Counter(dict.fromkeys(sites, 0))
    rejected: list[Rejected] = []
    missing: list[str] = []
    seen: set[str] = set()
    for part, labelled in parts.items():
        prefix = f"{part}/" if part else ""
        classes = _known_classes(labelled)
        refused = list(labelled.rejected)
        unknown.update(labelled.unknown)
        unreadable = {one.name for one in refused}
        for name, path in labelled.files.items():
            progress(done, n_files)
            done += 1
            if name in unreadable:
                continue
            if path is None:
                missing.append(prefix + name)
                continue
            reading = _read(name, path, labelled)
            refused += reading.rejected
            site = _site_of(path, folder, sites)
            for record in reading.records:
                if record.name in unreadable:
                    continue
                if site is not None:
                    n_of_site[site] += 1
                described = _described(replace(record, site=site), labelled, patient_key, prefix=prefix)
                found[_take(described, seen, evaluators, classes.get(record.name))] += 1
        rejected += [replace(one, name=prefix + one.name) for one in refused]
    progress(n_files, n_files)
    evaluated = [one for evaluator in evaluators if (one := evaluator.finish()) is not None]
    found.update({"left_out": sum(len(one.left_out) for one in evaluated)})
    found.update({"uninterpretable": sum(len(one.uninterpretable) for one in evaluated)})
    found.update({"evaluated": sum(one.assessment.evaluation.n_records for one in evaluated if one.assessment)})
    del found["taken"]
    found.update({"missing": len(missing), "unreadable": len(rejected)})
    counts = FolderCounts(received=found.total(), **{name: found[name] for name in FolderCounts.__dataclass_fields__ if name != "received"})
    result = FolderEvaluation(
        folder=folder,
        kind=", ".join(sorted({labelled.kind for labelled in parts.values()})),
        counts=counts,
        rejected=rejected,
        missing=missing,
        evaluated=sorted(evaluated, key=lambda one: one.assessment is None),
        unknown=unknown,
        sites={site: n_of_site[site] for site in sites},
    )
    if not counts.evaluated:
        fates = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in vars(counts).items() if number and name != "received")
        raise NotEnoughDataError(f"no record of {folder} is left to evaluate: {fates or 'it names none'}")
    return result


@dataclass(frozen=True, kw_only=True, eq=False)
class _Described:
    """A record with what the folder says about it, all ids that its patient may have had in training, and what these are known by."""

    record: Record
    patients: Sequence[str] = field(default=())
    names: Sequence[str] = field(default=())


def _site_of(path: Path, folder: Path, sites: Sequence[str]) -> str | None:
    """Return the site of a file in a folder: the folder itself if it is one, else the one directly in it."""
    inside = path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.name
    return site_in(sites, f"{folder.resolve().name}/", inside)


def _known_classes(labelled: LabelledFolder) -> dict[str, KnownClasses]:
    """Return what the folder says of the classes of each record, as the archive understands a label table."""
    rows = {name: row for name, row in labelled.rows.items() if row.classes is not None}
    said = [ClassEntry(record_id=name, classes=str(row.classes), who=labelled.kind, when="") for name, row in rows.items()]
    labels = [LabelEntry(record_id=name, label=row.label, who=labelled.kind, when="") for name, row in rows.items() if row.label]
    return classes_in_force(said, labels=labels)


def _take(described: _Described, seen: set[str], evaluators: Sequence[ModelEvaluator], classes: KnownClasses | None) -> str:
    """Give a record to the first model that accepts it; returns ``taken``, or why no model gets it."""
    record = described.record
    if record.record_id in seen:
        return "duplicates"
    seen.add(record.record_id)
    if record.label not in CLASS_ORDER:
        return "unlabelled"
    evaluator = next((evaluator for evaluator in evaluators if evaluator.recipe.accepts(record)), None)
    if evaluator is None:
        return "not_taken"
    evaluator.add(record, described.patients, described.names, classes)
    return "taken"


def _described(record: Record, labelled: LabelledFolder, key: bytes | None, *, prefix: str) -> _Described:
    """Return a record with what its folder says of it, and ``prefix`` before its name."""
    row = labelled.rows.get(record.name)
    patients = [patient for patient in {None if row is None else row.patient_id, record.patient} if patient]
    names = []
    if key is not None:
        hashes = {patient_hash(patient, key=key) for patient in patients} | {patient_hash(record.patient, key=key, issuer=record.issuer)}
        names = [one for one in hashes if one]
    named = replace(record, name=prefix + record.name)
    if row is None:
        return _Described(record=named, patients=patients, names=names)
    if row.patient_id and (collection := labelled.collection_of(row)):
        names.append(public_patient(row.patient_id, collection=collection))
    described = replace(
        named,
        patient=row.patient_id or record.patient,
        age=record.age if row.age is None else row.age,
        sex=row.sex or record.sex,
        label=row.label or record.label,
    )
    return _Described(record=described, patients=patients, names=names)


def _read(name: str, path: Path, labelled: LabelledFolder) -> Read:
    """Return the records of one file; a file that cannot be read is one rejected record."""
    beside = {SIDECAR: labelled.sidecar} if labelled.sidecar else {}
    try:
        return read_path(path, name=name + HEADER_SUFFIX * is_header(path.name), beside=beside, made=labelled.made.get(name))
    except BadInputError as error:
        return Read(records=(), rejected=(Rejected(name=name, reason=error.reason, message=error.message),))
    except OSError as error:
        return Read(records=(), rejected=(Rejected(name=name, reason=Reason.UNREADABLE, message=f"{path}: {error.strerror}"),))


def _plain(evaluated: ModelEvaluation) -> dict[str, Any]:
    """Return one model's part of the JSON."""
    spec = evaluated.model.spec
    content: dict[str, Any] = {
        "recipe": spec.recipe,
        "version": spec.version,
        "synthetic_model": spec.synthetic,
        "left_out": {
            "n_records": len(evaluated.left_out),
            "by_bucket": evaluated.n_by_bucket,
            "not_compared": evaluated.n_not_compared,
            "records": [vars(one) for one in evaluated.left_out],
        },
        "uninterpretable": list(evaluated.uninterpretable),
    }
    if evaluated.assessment is None:
        return content
    plain = evaluated.assessment.as_dict()
    figures = evaluated.assessment.evaluation.figures
    return content | {
        **{name: value for name, value in plain["test"].items() if name not in figures},
        "figures": {name: plain["test"][name] for name in figures},
        "baselines": plain["baselines"],
        "subgroups": plain["subgroups"],
        "curves": plain["curves"],
        **({"classes": evaluated.classes.as_dict()} if evaluated.classes else {}),
        **({"site_rules": evaluated.sites} if evaluated.sites else {}),
    }
