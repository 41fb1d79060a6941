"""Here: a model version as files: its specification and the bytes of everything that belongs to it.

Not here: the words of its card (``card``), serving it (``serving``), or where it is stored.
"""

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import ModelRefusedError
from ecg_tasks.evaluation.ages import AgeRange
from ecg_tasks.evaluation.baselines import LogisticBaseline
from ecg_tasks.evaluation.calibration import Calibration
from ecg_tasks.evaluation.classes import ClassAssessment
from ecg_tasks.evaluation.drift import Reference
from ecg_tasks.evaluation.summary import Evaluation
from ecg_tasks.evaluation.thresholds import AbstainBand
from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.learning.added import Description
from ecg_tasks.learning.card import model_card
from ecg_tasks.learning.decisions import ClassRule, DecisionRule, SiteRule
from ecg_tasks.learning.runtimes import LITERT, ONNX

KERAS = "model.keras"
SPEC = "model.json"
METRICS = "metrics.json"
CARD = "card.md"
GOLDEN = "golden.npz"
TRAINING_RECORDS = "training_records.csv"
TRAINING_PATIENTS = "training_patients.csv"
SUMS = "SHA256SUMS"


@dataclass(frozen=True, kw_only=True)
class Added:
    """That a network was trained elsewhere and added here.

    Parameters
    ----------
    description : what is stated of it
    file : what the version is served by: ``model.tflite`` or ``model.onnx``
    given_as : the format of the file that was given: ``keras``, ``litert`` or ``onnx``
    sha256 : of the file that was given
    """

    description: Description
    file: str
    given_as: str
    sha256: str

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for ``model.json``."""
        return {"description": self.description.as_dict(), "file": self.file, "given_as": self.given_as, "sha256": self.sha256}

    @classmethod
    def from_dict(cls, stored: Any) -> "Added":
        """Read what ``as_dict`` returned; `ModelRefusedError` if it cannot be."""
        try:
            found = cls(**stored | {"description": Description.from_plain(stored["description"])})
        except (TypeError, KeyError) as error:
            raise ModelRefusedError(f"{SPEC}: added cannot be read: {error!r}") from None
        if found.file not in (LITERT, ONNX):
            raise ModelRefusedError(f"{SPEC}: the file of an added network is {found.file!r}; it must be {LITERT} or {ONNX}")
        return found


@dataclass(frozen=True, kw_only=True)
class ModelSpec:
    """All that a model is besides its weights: what it reads, how its scores become decisions, where it comes from.

    Parameters
    ----------
    recipe, recipe_digest : what made the pictures that it was trained on; it reads no others
    version : its name in the registry
    dataset_id : what it was trained, calibrated and tested on
    class_order : names of the classes, index 1 being the one whose probability it gives
    threshold : record probabilities from here on are abnormal
    abstain : (lo, hi): record probabilities inside, ends included, are uncertain
    temperature : by which the mean log-odds of a record's windows are divided
    bias : by which they are raised then; 0 in versions that were made before there was one
    min_quality : windows below do not count
    image_shape : (height, width, channels) of its pictures
    network : its name among the networks
    n_weights : numbers in the network
    seed : of the training
    synthetic : whether any record that it was trained on was made by a program
    training : parameters and course of the training
    environment : what the training ran on
    sources : credits: the collections that it was trained on, with their licences
    classes : what else it reports of a record, and how it decides on that; nothing in versions that were not trained for it
    sites : sites with a calibration, threshold and band of their own; nothing in versions that have none
    added : whose network it is, where somebody else trained it; None for our own

    Raises
    ------
    ModelRefusedError
        If a value is of the wrong type or impossible.
    """

    recipe: str
    recipe_digest: str
    version: str
    dataset_id: str
    class_order: tuple[str, ...] = tuple(CLASS_ORDER)
    threshold: float
    abstain: tuple[float, float]
    temperature: float
    bias: float = 0.0
    min_quality: float
    image_shape: tuple[int, int, int]
    network: str
    n_weights: int
    seed: int
    synthetic: bool
    training: Mapping[str, Any]
    environment: Mapping[str, str]
    sources: tuple[str, ...]
    classes: tuple[ClassRule, ...] = ()
    sites: tuple[SiteRule, ...] = ()
    added: Added | None = None

    def __post_init__(self) -> None:
        for name in ("recipe", "recipe_digest", "version", "dataset_id", "network"):
            self._check(name, isinstance(getattr(self, name), str) and getattr(self, name) != "", "text that is not empty")
        for name in ("threshold", "min_quality"):
            self._check(name, _is_probability(getattr(self, name)), "a number in [0, 1]")
        for name in ("n_weights", "seed"):
            self._check(name, _is_integer(getattr(self, name)) and getattr(self, name) >= 0, "a whole number, not negative")
        self._check("class_order", tuple(self.class_order) == tuple(CLASS_ORDER), f"{[str(label) for label in CLASS_ORDER]}")
        self._check("abstain", _is_band(self.abstain), "lo and hi, 0 <= lo <= hi <= 1")
        self._check("temperature", _is_number(self.temperature) and self.temperature > 0, "a number above 0")
        self._check("bias", _is_number(self.bias), "a number")
        self._check("image_shape", _is_shape(self.image_shape), "height, width and channels")
        self._check("synthetic", isinstance(self.synthetic, bool), "true or false")
        for name in ("training", "environment"):
            self._check(name, isinstance(getattr(self, name), Mapping), "an object")
        self._check("sources", all(isinstance(source, str) for source in self.sources), "a list of texts")
        self._check("classes", _are_classes(self.classes), "classes with a name, an output and a rule each, none of them twice")
        self._check("sites", _are_sites(self.sites), "sites with a name and a rule each, none of them twice")

    @property
    def code(self) -> object:
        """The program that trained it, as it named itself; None where it did not."""
        return self.training.get("code")

    @property
    def network_file(self) -> str:
        """The file of the version that serves."""
        return LITERT if self.added is None else self.added.file

    @property
    def rule(self) -> DecisionRule:
        """How it decides on a record."""
        lo, hi = self.abstain
        return DecisionRule(
            calibration=Calibration(temperature=self.temperature, bias=self.bias),
            threshold=self.threshold,
            abstain=AbstainBand(lo=lo, hi=hi),
            min_quality=self.min_quality,
            classes=self.classes,
            sites=self.sites,
        )

    def to_json(self) -> bytes:
        """Return the content of ``model.json``; without classes, sites and an added network it is what it was before there were any."""
        stored = self.as_dict()
        for name in ("classes", "sites", "added"):
            if not stored[name]:
                del stored[name]
        return _json(stored)

    def as_dict(self) -> dict[str, Any]:
        """Return all fields as plain values."""
        return asdict(replace(self, added=None)) | {"added": None if self.added is None else self.added.as_dict()}

    @classmethod
    def from_json(cls, data: bytes) -> "ModelSpec":
        """Read what ``to_json`` returned.

        Raises
        ------
        ModelRefusedError
            If it is no JSON object, or a field is unknown, missing or impossible; the message names it.
        """
        try:
            stored = json.loads(data)
        except ValueError as error:
            raise ModelRefusedError(f"{SPEC} is not JSON: {error}") from None
        if not isinstance(stored, dict):
            raise ModelRefusedError(f"{SPEC} holds {type(stored).__name__}, not an object")
        known = {field.name for field in fields(cls)}
        stored.setdefault("bias", 0.0)
        stored.setdefault("classes", [])
        stored.setdefault("sites", [])
        stored.setdefault("added", None)
        if unknown := sorted(stored.keys() - known):
            raise ModelRefusedError(f"{SPEC} has unknown fields: {', '.join(unknown)}")
        if missing := sorted(known - stored.keys()):
            raise ModelRefusedError(f"{SPEC} lacks {', '.join(missing)}")
        for name in ("class_order", "abstain", "image_shape", "sources", "classes", "sites"):
            if not isinstance(stored[name], list):
                raise ModelRefusedError(f"{SPEC}: {name} is {stored[name]!r}; it must be a list")
            stored[name] = tuple(stored[name])
        try:
            stored["classes"] = tuple(ClassRule(**one | {"abstain": tuple(one["abstain"])}) for one in stored["classes"])
            stored["sites"] = tuple(SiteRule(**one | {"abstain": tuple(one["abstain"])}) for one in stored["sites"])
        except (TypeError, KeyError) as error:
            raise ModelRefusedError(f"{SPEC}: classes or sites cannot be read: {error}") from None
        if stored["added"] is not None:
            stored["added"] = Added.from_dict(stored["added"])
        return cls(**stored)

    def _check(self, name: str, ok: bool, wanted: str) -> None:  # noqa: FBT001  # a private check reads best in this order
        if not ok:
            raise ModelRefusedError(f"{SPEC}: {name} is {getattr(self, name)!r}; it must be {wanted}")


@dataclass(frozen=True, kw_only=True, eq=False)
class Metrics:
    """What is read again of ``metrics.json``.

    Parameters
    ----------
    test : figures on the test patients; None in a version that was not tested
    reference : distribution of every measure over records that it was not fitted to; empty in older versions
    classes : figures of its classes on the test patients; None in a version without any
    baseline_models : the simpler methods that were fitted beside it; empty in older versions
    provenance : SHA-256 of what its data set is made of; likewise
    ages : those that it was shown in training; None where that is not known, as in older versions
    """

    test: Evaluation | None
    classes: ClassAssessment | None
    reference: Mapping[str, Reference]
    baseline_models: Mapping[str, LogisticBaseline]
    provenance: Mapping[str, str]
    ages: AgeRange | None = None

    @classmethod
    def from_json(cls, data: bytes) -> "Metrics":
        """Read it; `ModelRefusedError` if it cannot be read."""
        try:
            stored = json.loads(data)
            tested, classes = stored.get("test"), stored.get("classes", {})
            return cls(
                test=None if tested is None else Evaluation.from_dict(tested),
                classes=ClassAssessment.from_dict(classes) if "figures" in classes else None,
                reference={name: Reference.from_dict(one) for name, one in stored.get("reference", {}).items()},
                baseline_models={name: LogisticBaseline.from_dict(one) for name, one in stored.get("baseline_models", {}).items()},
                provenance=stored.get("provenance", {}),
                ages=None if stored.get("ages") is None else AgeRange.from_dict(stored["ages"]),
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ModelRefusedError(f"{METRICS} cannot be read: {error!r}") from None

    @property
    def tested(self) -> Evaluation:
        """Figures on the test patients; `ModelRefusedError` where it was not tested."""
        if self.test is None:
            raise ModelRefusedError(f"{METRICS} has no test: the version was never tested")
        return self.test


@dataclass(frozen=True, kw_only=True, eq=False)
class Golden:
    """A few pictures and what the network says of them where it comes from (Keras, for our own): every runtime must say the same.

    Parameters
    ----------
    images : ndarray, shape (n, height, width, channels), uint8
    scores : ndarray, float32, of shape (n,), P(abnormal), of a network with this output alone; else of shape (n, n_outputs)
    typical : ndarray, shape (height, width, channels), uint8, what an explanation compares a picture with; None in versions that were
        made before there was one
    """

    images: NDArray[np.uint8]
    scores: NDArray[np.float32]
    typical: NDArray[np.uint8] | None = None

    def to_bytes(self) -> bytes:
        """Return the content of ``golden.npz``."""
        buffer = io.BytesIO()
        typical = {} if self.typical is None else {"typical": self.typical}
        np.savez_compressed(buffer, allow_pickle=False, images=self.images, scores=self.scores, **typical)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> "Golden":
        """Read what ``to_bytes`` returned; nothing is unpickled."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as file:
                return cls(images=file["images"], scores=file["scores"], typical=file.get("typical"))
        except (ValueError, KeyError, OSError, EOFError) as error:
            raise ModelRefusedError(f"{GOLDEN} cannot be read: {error}") from None


class TrainingPatient(NamedTuple):
    """A patient whom a version has seen before its test.

    Parameters
    ----------
    patient : keyed hash of the id
    key : digest of the key, without which the hash cannot be compared
    public_patient : digest of a public patient's collection and id, the same on every installation; None for a private one
    bucket : the patient's, 0 to 9,999, in versions of before 2026-11-30; -1 in later ones, which do not tell it
    """

    patient: str
    key: str
    public_patient: str | None
    bucket: int = -1


def version_files(
    *,
    spec: ModelSpec,
    network: Mapping[str, bytes],
    metrics: Mapping[str, Any],
    golden: Golden,
    splits: Mapping[str, str],
    patients: Iterable[TrainingPatient],
    pictures: Mapping[str, bytes],
) -> dict[str, bytes]:
    """Make all files of a version; the same input gives the same bytes.

    Parameters
    ----------
    network : file name to content of the network, in the format that serves and, where there is another, in the one that it was trained in
    metrics : plain numbers, texts, None and objects of these; an object with ``value``, ``low`` and ``high`` is a figure with its interval
    golden : pictures of the version's own recipe, with the scores of the runtime that the network came from
    splits : record id to its split
    patients : whom it has seen before its test
    pictures : file name to content of what the card shows

    Raises
    ------
    ModelRefusedError
        If the golden pictures have not the shape that the specification states, or a metric is no JSON value.
    """
    if len(golden.images) == 0 or golden.images.shape[1:] != tuple(spec.image_shape):
        raise ModelRefusedError(f"golden pictures have shape {golden.images.shape}; at least one of {spec.image_shape} is needed")
    files = {
        **network,
        SPEC: spec.to_json(),
        METRICS: _json(metrics),
        CARD: model_card(spec.as_dict(), metrics=metrics, splits=splits).encode(),
        GOLDEN: golden.to_bytes(),
        TRAINING_RECORDS: training_records_csv(splits),
        TRAINING_PATIENTS: training_patients_csv(patients),
        **pictures,
    }
    return files | {SUMS: checksums(files)}


def checksums(files: Mapping[str, bytes]) -> bytes:
    """Return the content of ``SHA256SUMS``, as ``sha256sum -c`` reads it."""
    return "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files)).encode()


def check_checksums(files: Mapping[str, bytes], *, needed: tuple[str, ...]) -> None:
    """Hold files against the ``SHA256SUMS`` among them; a file that is listed but not needed may be absent.

    Raises
    ------
    ModelRefusedError
        If a needed file is absent, or a file is not listed or has other content than listed.
    """
    if absent := sorted({SUMS, *needed} - files.keys()):
        raise ModelRefusedError(f"the model version lacks {', '.join(absent)}")
    listed: dict[str, str] = {}
    for line in files[SUMS].decode(errors="replace").splitlines():
        digest, separator, name = line.partition("  ")
        if not separator:
            raise ModelRefusedError(f"{SUMS} has a line that is not a checksum: {line[:100]!r}")
        listed[name] = digest
    for name, content in files.items():
        if name == SUMS:
            continue
        if name not in listed:
            raise ModelRefusedError(f"{name} is not listed in {SUMS}")
        actual = hashlib.sha256(content).hexdigest()
        if actual != listed[name]:
            raise ModelRefusedError(f"{name} is damaged: its SHA-256 is {actual}, {SUMS} says {listed[name]}")


def training_records_csv(splits: Mapping[str, str]) -> bytes:
    """Return the content of ``training_records.csv``: every record with its split."""
    return _csv(("record_id", "side"), ((record_id, str(split)) for record_id, split in sorted(splits.items())))


def training_records(data: bytes) -> Iterator[tuple[str, str, int]]:
    """Yield what is in ``training_records.csv``: record, split, and the patient's bucket in versions of before 2026-11-30; else -1.

    There are tens of thousands: as a list they would have the garbage collector look through everything that the process has.

    Raises
    ------
    ModelRefusedError
        If it cannot be read.
    """
    try:
        for (record_id, side), bucket in _rows(data, "record_id", "side"):
            yield record_id, side, bucket
    except (ValueError, IndexError, csv.Error) as error:
        raise ModelRefusedError(f"{TRAINING_RECORDS} cannot be read: {error!r}") from None


def without_buckets(files: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files of a version as they may leave the house: its lists name no buckets, which are made of patients' ids.

    Only the checksums change besides; a version that has none is returned as it is.
    """
    changed = {}
    if TRAINING_RECORDS in files:
        splits = {record_id: split for record_id, split, _ in training_records(files[TRAINING_RECORDS])}
        changed[TRAINING_RECORDS] = training_records_csv(splits)
    if TRAINING_PATIENTS in files:
        changed[TRAINING_PATIENTS] = training_patients_csv(training_patients(files[TRAINING_PATIENTS]))
    if all(files[name] == data for name, data in changed.items()):
        return dict(files)
    made = {name: data for name, data in files.items() if name != SUMS} | changed
    return made | {SUMS: checksums(made)}


def training_patients_csv(patients: Iterable[TrainingPatient]) -> bytes:
    """Return the content of ``training_patients.csv``: a row a patient; no row tells which records are of whom."""
    return _csv(TrainingPatient._fields[:3], sorted({(one.patient, one.key, one.public_patient or "") for one in patients}))


def training_patients(data: bytes) -> Iterator[TrainingPatient]:
    """Yield what is in ``training_patients.csv``, as `training_records` does; `ModelRefusedError` if it cannot be read."""
    try:
        for (patient, key, public_patient), bucket in _rows(data, "patient", "key", "public_patient"):
            yield TrainingPatient(patient, key, public_patient or None, bucket)
    except (ValueError, IndexError, csv.Error) as error:
        raise ModelRefusedError(f"{TRAINING_PATIENTS} cannot be read: {error!r}") from None


def _rows(data: bytes, *names: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield of each row of a table the values of these columns, and of its bucket; -1 where the table has none.

    Raises
    ------
    ValueError, IndexError or csv.Error
        Where a column is missing, or a row is not as its head says.
    """
    rows = csv.reader(io.StringIO(data.decode()), strict=True)  # a dictionary a row would take four times as long
    head = next(rows, [])
    of_row = itemgetter(*map(head.index, names))
    bucket = head.index("bucket") if "bucket" in head else None
    for row in filter(None, rows):
        yield of_row(row), -1 if bucket is None else int(row[bucket])


def _csv(head: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return text.getvalue().encode()


def _json(value: Mapping[str, Any]) -> bytes:
    try:
        return json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise ModelRefusedError(f"a model's record must be plain JSON without nan: {error}") from None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_probability(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def _is_band(value: Any) -> bool:
    return len(value) == len(("lo", "hi")) and all(map(_is_probability, value)) and value[0] <= value[1]


def _are_classes(classes: tuple[ClassRule, ...]) -> bool:
    names, outputs = {one.name for one in classes}, {one.output for one in classes}
    return len(names) == len(outputs) == len(classes) and all(
        all(isinstance(text, str) for text in (one.name, one.system, one.code, one.display))
        and one.name != ""
        and _is_integer(one.output)
        and one.output > 0
        and _is_rule(one)
        for one in classes
    )


def _are_sites(sites: tuple[SiteRule, ...]) -> bool:
    named = all(isinstance(one.site, str) and one.site != "" and _is_rule(one) for one in sites)
    return named and len({one.site for one in sites}) == len(sites)


def _is_rule(one: ClassRule | SiteRule) -> bool:
    fitted = _is_number(one.temperature) and one.temperature > 0 and _is_number(one.bias)
    return fitted and _is_probability(one.threshold) and _is_band(one.abstain)


def _is_shape(value: Any) -> bool:
    return len(value) == len(("height", "width", "channels")) and all(_is_integer(n) and n > 0 for n in value)
