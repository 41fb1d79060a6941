"""Here: how often the gate calls one of two trainings better that differ by their seed alone. Not here: the gate (``evaluation.gate``).

``python -m research.seed_pairs FOLDER`` trains ``twelve_lead`` on a labelled folder, such as a part of PTB-XL, with one
seed after the other, and lets the gate compare each training with the one before, on the test patients of every training here.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.calibration import fit_calibration
from ecg_tasks.evaluation.gate import GatePolicy, GateVerdict, NewData, PromotionPolicy, Scored, evaluate_candidate
from ecg_tasks.evaluation.splits import N_BUCKETS, Split, split_bucket, split_of
from ecg_tasks.evaluation.thresholds import threshold_for_sensitivity
from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.learning.dataset import TrainingSet, rotating_folds
from ecg_tasks.learning.decisions import record_probabilities
from ecg_tasks.learning.keras_file import load_network, score_windows
from ecg_tasks.learning.parameters import training_params
from ecg_tasks.learning.training import train
from ecg_tasks.names import RecipeName
from ecg_tasks.offline.classify_file import read_path
from ecg_tasks.offline.labelled_folders import open_folder
from ecg_tasks.pipeline.training.candidate import BOOTSTRAP_SEED, SENSITIVITY
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.record import Record

RECIPE = RecipeName.TWELVE_LEAD.value


@dataclass(frozen=True, kw_only=True, eq=False)
class DrawnRecords:
    """Usable windows of labelled recordings: images, the record of each, and label, patient and bucket of every record."""

    images: NDArray[np.uint8]
    record: NDArray[np.int64]
    labels: NDArray[np.uint8]
    patients: NDArray[np.str_]
    buckets: NDArray[np.int64]

    def on(self, *splits: Split) -> "DrawnRecords":
        """Return the records of these splits."""
        wanted = np.array([split_of(bucket) in splits for bucket in self.buckets])
        windows = wanted[self.record]
        place = np.cumsum(wanted) - 1
        return DrawnRecords(
            images=self.images[windows],
            record=place[self.record[windows]],
            labels=self.labels[wanted],
            patients=self.patients[wanted],
            buckets=self.buckets[wanted],
        )


class Forgetful:
    """Checkpoints that are not kept."""

    def load(self) -> tuple[int, bytes] | None:
        """Return None: nothing was kept."""
        return None

    def save(self, epoch: int, data: bytes) -> None:
        """Keep nothing."""


def read(folder: Path, *, shift: int) -> DrawnRecords:
    """Return every labelled recording of the folder with a known patient, each signal once, drawn by the recipe.

    ``shift`` is added to every patient's bucket, so that others are tested on.
    """
    labelled = open_folder(folder)
    found: dict[str, tuple[Record, int, str]] = {}
    for name, path in labelled.files.items():
        row = labelled.rows.get(name)
        if path is not None and row is not None and row.label in CLASS_ORDER and row.patient_id:
            record = read_path(path, name=f"{name}.hea").records[0]
            found.setdefault(record.record_id, (record, CLASS_ORDER.index(row.label), row.patient_id))
    records, labels, patients = zip(*found.values(), strict=True)
    drawn = draw(records, labels, patients)
    return replace(drawn, buckets=(drawn.buckets + shift) % N_BUCKETS)


def draw(records: Sequence[Record], labels: Sequence[int], patients: Sequence[str]) -> DrawnRecords:
    """Return pictures of records by the recipe, those of poor quality left out."""
    recipe = get_recipe(RECIPE)
    taken = [index for index, record in enumerate(records) if recipe.accepts(record)]
    rendered = recipe.render([records[index] for index in taken])
    good = np.flatnonzero((rendered.window >= 0) & (rendered.quality >= recipe.min_quality))
    usable, record = np.unique(rendered.record[good], return_inverse=True)
    chosen = [taken[index] for index in usable]
    return DrawnRecords(
        images=recipe.decode([rendered.png[index] for index in good]),
        record=record,
        labels=np.array([labels[index] for index in chosen], np.uint8),
        patients=np.array([patients[index] for index in chosen]),
        buckets=np.array([split_bucket(patients[index]) for index in chosen]),
    )


def scores(pictures: DrawnRecords, tested: DrawnRecords, *, seed: int, ensemble_size: int | None, epochs: int | None = None) -> Scored:
    """Train with this seed, calibrate as a version is calibrated, and score the tested recordings."""
    recipe = get_recipe(RECIPE)
    params = training_params(RECIPE, seed=seed, epochs=epochs, ensemble_size=ensemble_size)
    ours = pictures.on(Split.TRAIN, Split.VALIDATION)
    held_out = np.array([split_of(bucket) is Split.VALIDATION for bucket in ours.buckets])
    folds = rotating_folds(ours.labels, ours.buckets, ensemble_size=params.ensemble_size, held_out=held_out)
    trained = train(
        TrainingSet(images=ours.images, labels=ours.labels[ours.record], records=ours.record),
        [fold[ours.record] for fold in folds],
        network=recipe.network,
        params=params,
        checkpoints=Forgetful(),
        log=lambda _line: None,
    )
    network = load_network(trained.keras)

    def raw(one: DrawnRecords) -> NDArray[np.float64]:
        windows = score_windows(network, one.images)
        return record_probabilities(one.record, windows, np.ones(len(windows)), n_records=len(one.labels), min_quality=0.0)

    calibration = pictures.on(Split.CALIBRATION)
    correction = fit_calibration(calibration.labels, raw(calibration))
    threshold = threshold_for_sensitivity(correction.apply(raw(calibration)), sensitivity=SENSITIVITY)
    return Scored(probabilities=correction.apply(raw(tested)), threshold=threshold)


def compare(tested: DrawnRecords, candidate: Scored, champion: Scored, *, promotion: PromotionPolicy, n_new: int = 0) -> GateVerdict:
    """Compare two trainings by the rules of the gate."""
    return evaluate_candidate(
        tested.labels,
        candidate,
        champion,
        tested.patients,
        seed=BOOTSTRAP_SEED,
        policy=GatePolicy(promotion=promotion),
        new_data=NewData(n_training=max(n_new, 1), n_new=n_new),
    )


def main() -> None:
    """Print one line a pair, and how many candidates were called better."""
    parser = argparse.ArgumentParser(description="How often the gate calls a training better that differs by its seed alone.")
    parser.add_argument("folder", type=Path, help="PTB-XL, or another labelled folder")
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--shift", type=int, default=0, help="added to the patients' buckets: another value tests on other patients")
    parser.add_argument("--ensemble-size", type=int, help="networks whose log-odds are averaged; default: as the recipe trains")
    parser.add_argument("--json", type=Path, help="keep the verdicts, for a program")
    arguments = parser.parse_args()
    pictures = read(arguments.folder, shift=arguments.shift)
    tested = pictures.on(Split.TEST)
    found: list[dict[str, object]] = []
    champion: Scored | None = None
    for seed in range(arguments.pairs + 1):
        started = time.monotonic()
        candidate = scores(pictures, tested, seed=seed, ensemble_size=arguments.ensemble_size)
        if champion is not None:
            verdict = compare(tested, candidate, champion, promotion=PromotionPolicy.BETTER)
            areas = {name: figure.text() for name, figure in verdict.figures.items()}
            found.append({"seed": seed, "kind": verdict.kind.value, "sensitivity": verdict.sensitivity, "ece": verdict.ece, **areas})
            print(
                f"seed {seed} against {seed - 1}: {verdict.kind.value:8s} AUROC {areas['candidate_auroc']}, difference "
                f"{areas['auroc_difference']}, sensitivity {verdict.sensitivity:.2f}, ECE {verdict.ece:.3f}; "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
        champion = candidate
    n_better = sum(one["kind"] == "better" for one in found)
    print(f"{n_better} of {len(found)} pairs that differ by seed alone were called better, on {len(tested.labels)} test recordings")
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
