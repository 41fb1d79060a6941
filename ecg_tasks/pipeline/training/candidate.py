"""Here: from trained weights to a whole version: calibration, test figures, golden pictures, files. Not here: the verdict (``gating``)."""

import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import DatasetManifest, Training, TrainingJob, plain
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.archive.workspace import key_digest
from ecg_tasks.evaluation import assessment, curves
from ecg_tasks.evaluation.ages import ages_shown
from ecg_tasks.evaluation.calibration import fit_calibration
from ecg_tasks.evaluation.classes import assess_classes
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.evaluation.summary import Evaluation
from ecg_tasks.evaluation.thresholds import abstain_band, coverage_accuracy, threshold_for_sensitivity
from ecg_tasks.labels import CLASS_ORDER, Label
from ecg_tasks.learning.decisions import RecordDecisions, record_probabilities
from ecg_tasks.learning.runtimes import LITERT
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.learning.version import KERAS, Golden, ModelSpec, TrainingPatient, version_files
from ecg_tasks.pipeline.training import class_rules, measuring, sites, unseen_sites
from ecg_tasks.pipeline.training.classes import class_names
from ecg_tasks.pipeline.training.dataset import DatasetRow, Pictures
from ecg_tasks.pipeline.training.reference import reference_of
from ecg_tasks.reporting.performance import performance_pictures
from ecg_tasks.settings import Settings
from ecg_tasks.signals.recipes import Recipe
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize

CALIBRATED_ON = (Split.CALIBRATION,)
"""Splits whose patients fix temperature, threshold and abstain band, and serve for nothing else."""
_USED_BY_ALL = (*CALIBRATED_ON, Split.TEST)
"""Splits that a network of somebody else is used on, too: it was not trained on the others here."""
SENSITIVITY = 0.9
"""Share of abnormal calibration records that the threshold must catch."""
DECIDED_ACCURACY = 0.9
"""Share of calibration records outside the abstain band that shall be right."""
MIN_COVERAGE = 0.8
"""Share of calibration records that must be decided on."""
BOOTSTRAP_SEED = assessment.BOOTSTRAP_SEED
N_GOLDEN = 16
GOLDEN_FS = 250.0
"""Hz."""
MIN_TYPICAL = 5
"""Patients of a median picture, at least: that of one or two would show whose they are."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Network:
    """A network whose weights are fixed.

    Parameters
    ----------
    files : file name to content, in the format that serves and, where there is another, in the one that it was trained in
    golden : ndarray, shape (n, height, width, channels), uint8, golden pictures
    scores : ndarray, float32, shape (n,) or (n, n_outputs), of these, by the runtime that the network comes from
    """

    files: Mapping[str, bytes]
    golden: NDArray[np.uint8]
    scores: NDArray[np.float32]


def trained_network(keras: bytes, recipe: Recipe) -> Network:
    """Return a network of our own, from the ``.keras`` file that its training gave."""
    from ecg_tasks.learning.export import export_litert, keras_scores

    golden = golden_pictures(recipe)
    return Network(files={KERAS: keras, LITERT: export_litert(keras)}, golden=golden, scores=keras_scores(keras, golden))


def record_decisions(classifier: Classifier, pictures: Pictures) -> RecordDecisions:
    """Return what the classifier says of each record by its own rules, classes included, and without those of sites."""
    outputs = classifier.predict_outputs(pictures.images)
    return classifier.decide(pictures.record, outputs, pictures.quality, n_records=len(pictures.rows))


def build_version(
    store: ObjectStore,
    *,
    spec: ModelSpec,
    network: Network,
    recipe: Recipe,
    calibration: Pictures,
    test: Pictures,
    rows: Sequence[DatasetRow],
    manifest: DatasetManifest,
    candidates_evaluated: int | None = None,
    unseen: unseen_sites.Twins | None = None,
) -> dict[str, bytes]:
    """Fit temperature, threshold and abstain band on the calibration patients, look once at the test patients, and make all files.

    A class of which there are too few calibration patients is left out of the version.

    Parameters
    ----------
    store : where the signals of the dataset are, for the baselines
    spec : still without its decision rule
    rows : all records of the dataset
    candidates_evaluated : number of candidates that were evaluated on these test patients, this one included; None if not counted
    unseen : networks that were trained without one site each; None where that was not asked for
    """
    served = network.files[spec.network_file]
    outputs = Classifier(spec, served, n_threads=1).predict_outputs(calibration.images)
    raw = _raw(calibration, outputs, min_quality=recipe.min_quality)
    correction = fit_calibration(calibration.labels, raw)
    calibrated = correction.apply(raw)
    threshold = threshold_for_sensitivity(calibrated, sensitivity=SENSITIVITY)
    band = abstain_band(calibration.labels, calibrated, threshold=threshold, target_accuracy=DECIDED_ACCURACY, min_coverage=MIN_COVERAGE)
    names = class_names(rows) if spec.added is None else spec.added.description.class_names
    asked = class_rules.Asked(sensitivity=SENSITIVITY, accuracy=DECIDED_ACCURACY, coverage=MIN_COVERAGE)
    classes = class_rules.fit_classes(calibration, outputs, names, min_quality=recipe.min_quality, asked=asked)
    for name, why in classes.left_out.items():
        logging.getLogger(__name__).warning("class %s is not served: %s", name, why)
    of_calibration = sites.sites_of(store, calibration.rows)
    own = sites.fit_sites(calibration, raw, of_calibration, pooled=correction, asked=asked)
    spec = replace(
        spec,
        temperature=correction.temperature,
        bias=correction.bias,
        threshold=threshold,
        abstain=(band.lo, band.hi),
        classes=classes.rules,
        sites=own.rules,
    )
    coverage = curves.thinned(coverage_accuracy(calibration.labels, calibrated, threshold=threshold))
    measured = measuring.measure(store, recipe, [row for row in rows if row.split in (Split.TRAIN, Split.TEST)])
    baselines = measuring.fit_baselines(recipe, measured, [row for row in rows if row.split == Split.TRAIN])
    trained = [row for row in rows if row.split == Split.TRAIN and spec.added is None]  # somebody else's network has seen others
    ages = ages_shown(measured.of([row.record_id for row in trained]).ages, [row.group for row in trained])
    classifier = Classifier(spec, served, n_threads=1)
    test_outputs = classifier.predict_outputs(test.images)
    decided = classifier.decide(test.record, test_outputs, test.quality, n_records=len(test.rows))
    found = assessment.assess(
        measuring.scored_records(
            recipe,
            test,
            decided.probability,
            measured=measured.of([row.record_id for row in test.rows]),
            baselines=baselines,
        ),
        threshold=threshold,
        abstain=band,
        split_unit=manifest.split_unit,
    )
    of_test, raw_test = sites.sites_of(store, test.rows), _raw(test, test_outputs, min_quality=recipe.min_quality)
    by_site = own.as_dict(sites.compared(test, raw_test, of_test, rule=spec.rule, like=found.evaluation))
    metrics = found.as_dict() | {
        "data": plain(manifest.counts),
        "calibration": {
            "method": "logistic calibration (temperature and bias)",
            "sides": [split.value for split in CALIBRATED_ON],
            "n_records": len(calibration.rows),
            "n_patients": len(set(calibration.groups)),
            "n_abnormal": int(calibration.labels.sum()),
            "sensitivity_asked": SENSITIVITY,
            "accuracy_asked": DECIDED_ACCURACY,
            "coverage_asked": MIN_COVERAGE,
            "coverage_curve": curves.plain(coverage),
        },
        "baseline_models": {name: model.as_dict() for name, model in baselines.items()},
        "candidates_judged": candidates_evaluated,
        "reference": reference_of(
            [
                (pictures, spec.rule.calibrate(scores, of_site), spec.rule.limits(of_site).threshold)
                for pictures, scores, of_site in ((calibration, raw, of_calibration), (test, raw_test, of_test))
            ],
            inputs=manifest.inputs,
        ),
        "provenance": _provenance(store, spec.dataset_id),
        "ages": None if ages is None else ages.as_dict(),
    }
    if by_site:
        metrics["sites"] = by_site
    if unseen is not None:
        metrics["leave_one_site_out"] = unseen_sites.compared(unseen, test, of_test, min_quality=recipe.min_quality, like=found.evaluation)
    if names:
        metrics["classes"] = classes.as_dict() | _class_figures(decided, test, found.evaluation)
    seen = [row for row in rows if spec.added is None or row.split in _USED_BY_ALL]
    return version_files(
        spec=spec,
        network=network.files,
        metrics=metrics,
        golden=Golden(images=network.golden, scores=network.scores, typical=typical_picture(calibration)),
        splits={row.record_id: row.split for row in seen},
        patients=training_patients_of(seen),
        pictures={f"{name}.svg": data for name, data in performance_pictures(found, calibration=coverage).items()},
    )


def _raw(pictures: Pictures, outputs: NDArray[np.float32], *, min_quality: float) -> NDArray[np.float64]:
    """Return P(abnormal) of records before calibration, shape (n_records,); nan for one without a usable window."""
    return record_probabilities(pictures.record, outputs[:, 0], pictures.quality, n_records=len(pictures.rows), min_quality=min_quality)


def training_patients_of(rows: Iterable[DatasetRow]) -> list[TrainingPatient]:
    """Return the patients whom a version of these rows has seen before its test, one a row."""
    key = key_digest(Settings.from_environment().patient_key)
    return [
        TrainingPatient(row.patient, key, row.public_patient) for row in rows if row.patient is not None and row.split is not Split.TEST
    ]


def _class_figures(decided: RecordDecisions, test: Pictures, evaluation: Evaluation) -> dict[str, Any]:
    """Return the figures of the classes that are served, by the resamples of those of abnormal; nothing where none is."""
    if not decided.classes:
        return {}
    scored = class_rules.scored_classes(decided, test.rows)
    return assess_classes(scored, split_unit=evaluation.split_unit, seed=evaluation.seed, n_resamples=evaluation.n_resamples).as_dict()


def _provenance(store: ObjectStore, dataset_id: str) -> dict[str, str]:
    """Return the SHA-256 of what the dataset is made of, so that the card leads from the version back to the signals."""
    return {
        f"{name}_sha256": hashlib.sha256(store.get(keys.dataset(dataset_id, file))).hexdigest()
        for name, file in (("manifest", "manifest.json"), ("split", "split.parquet"))
    }


def typical_picture(pictures: Pictures) -> NDArray[np.uint8] | None:
    """Return the pixelwise median of the normal records, which explanations compare with; None where they are of too few patients."""
    is_normal = pictures.labels == CLASS_ORDER.index(Label.NORMAL)
    if np.unique(np.array(pictures.groups)[is_normal]).size < MIN_TYPICAL:
        return None
    median: NDArray[np.uint8] = np.median(pictures.images[is_normal[pictures.record]], axis=0).astype(np.uint8)
    return median


def golden_pictures(recipe: Recipe) -> NDArray[np.uint8]:
    """Return pictures of imaginary patients: a version contains them, so no recording of a person may be among them."""
    rng = np.random.default_rng(7)
    hearts = [draw_heart(rng, label=label) for label in (Label.NORMAL, Label.ABNORMAL) * (N_GOLDEN // 2)]
    records = [
        Record(
            samples=synthesize(heart, fs=GOLDEN_FS, duration_s=10.0, rng=rng), fs=GOLDEN_FS, leads=STANDARD_LEADS, unit="mV", name="golden"
        )
        for heart in hearts
    ]
    rendered = recipe.render(records)
    pngs = [png for png in rendered.png if png]
    return recipe.decode(pngs[:: max(1, len(pngs) // N_GOLDEN)][:N_GOLDEN])


def provisional_spec(*, work: TrainingJob, recipe: Recipe, training: Training, synthetic: bool) -> ModelSpec:
    """Return what is known of a version before its calibration."""
    from ecg_tasks.learning.framework import training_environment

    stored = msgspec.to_builtins(training, order="sorted")
    stored.pop("schema_version")  # of the file, not of the training
    return uncalibrated(
        work=work,
        recipe=recipe,
        synthetic=synthetic,
        network=recipe.network,
        n_weights=training.n_weights,
        training=stored,
        environment=training_environment(),
    )


def uncalibrated(*, work: TrainingJob, recipe: Recipe, synthetic: bool, **own: Any) -> ModelSpec:
    """Return the specification of a version before its calibration; ``own`` is what its network says of itself."""
    return ModelSpec(
        recipe=recipe.name,
        recipe_digest=recipe.digest,
        version=work.version,
        dataset_id=work.dataset_id,
        threshold=0.5,
        abstain=(0.5, 0.5),
        temperature=1.0,
        min_quality=recipe.min_quality,
        image_shape=recipe.image_shape,
        seed=work.seed,
        synthetic=synthetic,
        sources=work.credits,
        **own,
    )
