"""Here: a model judged on a labelled folder, without any stack. Not here: the figures (``evaluation.assessment``), or the folder's layout.

Recordings are read, drawn and scored a few at a time, so that a folder of any size takes the same memory. What a version
was trained on is left out; the rest is judged exactly as its card was made.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ecg_tasks.errors import BadInputError, NotEnoughDataError, Reason
from ecg_tasks.labels import CLASS_ORDER, RESEARCH_USE
from ecg_tasks.offline.classify_file import read_path
from ecg_tasks.offline.judging import Judge, Judged
from ecg_tasks.offline.labelled_folders import LabelledFolder, open_folder
from ecg_tasks.offline.shipped import find_models
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.readers import Read, Rejected
from ecg_tasks.readers.file_names import HEADER_SUFFIX, is_header
from ecg_tasks.settings import Settings
from ecg_tasks.signals.record import Record

SCHEMA_VERSION = 1
"""Grows when a program that reads the JSON would have to change."""


@dataclass(frozen=True, kw_only=True)
class Account:
    """Every record that the folder names and its fate; ``received`` is the sum of all others."""

    received: int
    judged: int
    left_out: int
    uninterpretable: int
    unlabelled: int
    duplicates: int
    not_taken: int
    missing: int
    unreadable: int

    def __post_init__(self) -> None:
        if self.received != sum(vars(self).values()) - self.received:
            raise AssertionError(f"the account does not add up: {self}")


@dataclass(frozen=True, kw_only=True, eq=False)
class FolderEvaluation:
    """What was found in a folder; ``judged`` has one entry a model that had something to judge, in the order of the recipes."""

    folder: Path
    kind: str
    account: Account
    rejected: Sequence[Rejected]
    missing: Sequence[str]
    judged: Sequence[Judged]

    def as_dict(self) -> dict[str, Any]:
        """Return the content of ``--json``: the first model's figures on top, those of further ones, if any, under ``others``."""
        first, *others = [_plain(one) for one in self.judged]
        return {
            "schema_version": SCHEMA_VERSION,
            "notice": RESEARCH_USE,
            "folder": str(self.folder),
            "layout": self.kind,
            "account": vars(self.account),
            "unreadable": {
                "by_reason": dict(sorted(Counter(one.reason.value for one in self.rejected).items())),
                "records": [{"name": one.name, "reason": one.reason.value, "message": one.message} for one in self.rejected],
            },
            "missing": list(self.missing),
            **first,
            "others": others,
        }


def evaluate_folder(
    folder: Path,
    *,
    recipe: str | None = None,
    model: str | None = None,
    models: Path = SHIPPED_MODELS,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> FolderEvaluation:
    """Judge models on every labelled record of a folder that they were not trained on.

    Parameters
    ----------
    folder : PTB-XL, raw PTB, heartbeat CSVs, or recordings with a ``labels.csv``
    recipe : the recipe that judges; None for the first that takes a recording, as in the nightly run
    model : version of a model in ``models``, or the folder of one; None for the champions
    models : laid out as ``models/`` in the bucket
    progress : is told how many files have been read, and of how many

    Raises
    ------
    BadInputError
        If the folder is no labelled folder.
    ConfigurationError
        If there is no such model.
    NotEnoughDataError
        If no record is left to be judged; the message says where they went.
    """
    judges = [Judge(one) for one in find_models(models, recipes=(recipe,) if recipe else Settings.recipes, wanted=model)]
    labelled = open_folder(folder)
    counts: Counter[str] = Counter()
    rejected: list[Rejected] = list(labelled.rejected)
    seen: set[str] = set()
    hopeless = {one.name for one in rejected}
    for done, (name, path) in enumerate(labelled.files.items()):
        progress(done, len(labelled.files))
        if path is None:
            counts["missing"] += name not in hopeless
        elif name not in hopeless:
            reading = _read(name, path)
            rejected += reading.rejected
            for record in reading.records:
                if record.name in hopeless:
                    continue
                counts[_take(_described(record, labelled), seen, judges)] += 1
    progress(len(labelled.files), len(labelled.files))
    judged = [one for judge in judges if (one := judge.finish()) is not None]
    counts.update({"left_out": sum(len(one.left_out) for one in judged)})
    counts.update({"uninterpretable": sum(len(one.uninterpretable) for one in judged)})
    counts.update({"judged": sum(one.assessment.evaluation.n_records for one in judged if one.assessment)})
    del counts["taken"]
    counts["unreadable"] = len(rejected)
    account = Account(received=counts.total(), **{name: counts[name] for name in Account.__dataclass_fields__ if name != "received"})
    found = FolderEvaluation(
        folder=folder,
        kind=labelled.kind,
        account=account,
        rejected=rejected,
        missing=[name for name, path in labelled.files.items() if path is None and name not in hopeless],
        judged=sorted(judged, key=lambda one: one.assessment is None),
    )
    if not account.judged:
        fates = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in vars(account).items() if number and name != "received")
        raise NotEnoughDataError(f"no record of {folder} is left to be judged: {fates or 'it names none'}")
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class _Described:
    """A record with what the folder says of it, and every id under which its patient may have been trained on."""

    record: Record
    patients: Sequence[str] = field(default=())


def _take(described: _Described, seen: set[str], judges: Sequence[Judge]) -> str:
    """Hand a record to the model that judges it; returns its fate where it is judged by none, else ``taken``."""
    record = described.record
    if record.record_id in seen:
        return "duplicates"
    seen.add(record.record_id)
    if record.label not in CLASS_ORDER:
        return "unlabelled"
    judge = next((judge for judge in judges if judge.recipe.accepts(record)), None)
    if judge is None:
        return "not_taken"
    judge.add(record, described.patients)
    return "taken"


def _described(record: Record, labelled: LabelledFolder) -> _Described:
    row = labelled.rows.get(record.name)
    if row is None:
        return _Described(record=record, patients=[record.patient] if record.patient else [])
    told = replace(
        record,
        patient=row.patient_id or record.patient,
        age=record.age if row.age is None else row.age,
        sex=row.sex or record.sex,
        label=row.label or record.label,
    )
    return _Described(record=told, patients=[patient for patient in {row.patient_id, record.patient} if patient])


def _read(name: str, path: Path) -> Read:
    """Return the records of one file; a file that cannot be read is one rejected record."""
    try:
        return read_path(path, name=name + HEADER_SUFFIX * is_header(path.name))
    except BadInputError as error:
        return Read(records=(), rejected=(Rejected(name=name, reason=error.reason, message=error.message),))
    except OSError as error:
        return Read(records=(), rejected=(Rejected(name=name, reason=Reason.UNREADABLE, message=f"{path}: {error.strerror}"),))


def _plain(judged: Judged) -> dict[str, Any]:
    """Return one model's part of the JSON."""
    spec = judged.model.spec
    told: dict[str, Any] = {
        "recipe": spec.recipe,
        "version": spec.version,
        "synthetic_model": spec.synthetic,
        "left_out": {
            "n_records": len(judged.left_out),
            "records": [vars(one) for one in judged.left_out],
        },
        "uninterpretable": list(judged.uninterpretable),
    }
    if judged.assessment is None:
        return told
    plain = judged.assessment.as_dict()
    figures = judged.assessment.evaluation.figures
    return told | {
        **{name: value for name, value in plain["test"].items() if name not in figures},
        "figures": {name: plain["test"][name] for name in figures},
        "baselines": plain["baselines"],
        "subgroups": plain["subgroups"],
        "curves": plain["curves"],
    }
