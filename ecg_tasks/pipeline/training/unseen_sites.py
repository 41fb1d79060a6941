"""Here: how a network does at a site that it has not learnt from: which sites are left out of a training, and what is told of each.

Not here: the training (``retrain_model``), or a site's own calibration (``sites``).
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys
from ecg_tasks.archive.documents import TrainingJob
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.evaluation.comparison import auroc_difference
from ecg_tasks.evaluation.splits import Split
from ecg_tasks.evaluation.subgroups import MAX_VALUES, MIN_PATIENTS, MIN_PATIENTS_PER_CLASS, are_enough
from ecg_tasks.evaluation.summary import Evaluation, evaluate, plain_interval
from ecg_tasks.learning.dataset import MIN_RECORDS_PER_CLASS
from ecg_tasks.learning.decisions import record_probabilities
from ecg_tasks.pipeline.training.dataset import DatasetRow, Pictures, labels_of, learnt_from, on_splits
from ecg_tasks.pipeline.training.sites import sites_of


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """Which sites are left out of a training, one at a time.

    Parameters
    ----------
    without : site to the records that are learnt from without it, shape (n_records,), bool, in the order of `learnt_from`: all of a patient
        who has a record there are left out
    left_out : site to how many records and patients these are
    not_measured : any other site to why nothing is told of it
    n_unknown : records that are learnt from and whose site is not known; they may be of any
    """

    without: Mapping[str, NDArray[np.bool_]]
    left_out: Mapping[str, Mapping[str, int]]
    not_measured: Mapping[str, str]
    n_unknown: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Twins:
    """The first member of a version, and the same trained without one site each, as ``.keras`` files."""

    choice: Choice
    first: bytes
    without: Mapping[str, bytes]


def choose(store: ObjectStore, rows: Sequence[DatasetRow], *, stopped_on: NDArray[np.bool_]) -> Choice:
    """Choose the sites with enough test patients for figures, if there are two, and enough records to learn from without each.

    Parameters
    ----------
    rows : all records of the dataset
    stopped_on : those of `learnt_from` that the first member is stopped on, shape (n_records,)
    """
    learnt, test = learnt_from(rows), on_splits(rows, Split.TEST)
    site, of_test = (np.array([one or "" for one in sites_of(store, some)], dtype=object) for some in (learnt, test))
    labels, patients = labels_of(learnt), np.array([row.group for row in learnt])
    truth, tested = labels_of(test) == 1, np.array([row.group for row in test])
    n_test = Counter(of_test)
    known = sorted({*site, *of_test} - {""}, key=lambda name: (-n_test[name], name))
    enough = [name for name in known if are_enough(truth[of_test == name], tested[of_test == name])]
    not_measured = dict.fromkeys(known, f"fewer than {MIN_PATIENTS} test patients, or {MIN_PATIENTS_PER_CLASS} of either class")
    not_measured |= dict.fromkeys(enough, "no other site has enough test patients" if len(enough) == 1 else f"more than {MAX_VALUES} sites")
    without: dict[str, NDArray[np.bool_]] = {}
    left_out: dict[str, dict[str, int]] = {}
    for name in enough[:MAX_VALUES] if len(enough) > 1 else ():
        away = np.isin(patients, patients[site == name])
        sides = [np.count_nonzero(labels[~away & side] == label) for side in (stopped_on, ~stopped_on) for label in (0, 1)]
        if not away.any():
            not_measured[name] = "nothing was learnt from it"
        elif min(sides) < MIN_RECORDS_PER_CLASS:
            not_measured[name] = "too few records are left to learn from without it"
        else:
            del not_measured[name]
            without[name] = ~away
            left_out[name] = {"n_records": int(away.sum()), "n_patients": len(np.unique(patients[away]))}
    return Choice(without=without, left_out=left_out, not_measured=not_measured, n_unknown=int(np.count_nonzero(site == "")))


def load(store: ObjectStore, work: TrainingJob, rows: Sequence[DatasetRow], *, stopped_on: NDArray[np.bool_]) -> Twins:
    """Read the networks that a training left; parameters as in `choose`."""
    choice = choose(store, rows, stopped_on=stopped_on)
    first = store.get(first_key(work)) if choice.without else b""
    return Twins(choice=choice, first=first, without={site: store.get(twin_key(work, site)) for site in choice.without})


def compared(twins: Twins, test: Pictures, sites: Sequence[str | None], *, min_quality: float, like: Evaluation) -> dict[str, Any]:
    """Return for ``metrics.json`` the AUROC of the member that learnt from a site, and of the one that did not, on the site's test records.

    The difference is paired: both are evaluated on the same drawn patients. No calibration is needed, since it changes no rank.

    Parameters
    ----------
    sites : of the test records
    like : the evaluation of all test records, whose resamples are drawn
    """
    found: dict[str, Any] = {}
    groups, of_site = np.array(test.groups), np.array([one or "" for one in sites], dtype=object)
    for site, keras in twins.without.items():
        with_it, without_it = (_raw(one, test, of_site == site, min_quality=min_quality) for one in (twins.first, keras))
        here = np.flatnonzero(of_site == site)
        labels, patients = test.labels[here], groups[here]
        evaluated = partial(evaluate, labels, groups=patients, threshold=0.5, seed=like.seed, n_resamples=like.n_resamples)
        difference = auroc_difference(labels, with_it, without_it, patients, seed=like.seed, n_resamples=like.n_resamples)
        found[site] = {
            "n_records": len(here),
            "n_patients": len(np.unique(patients)),
            "n_abnormal": int(labels.sum()),
            "left_out": dict(twins.choice.left_out[site]),
            "auroc_with": plain_interval(evaluated(with_it).auroc),
            "auroc_without": plain_interval(evaluated(without_it).auroc),
            "auroc_difference": plain_interval(difference),
        }
    return {"sites": found, "not_measured": dict(twins.choice.not_measured), "n_site_unknown": twins.choice.n_unknown}


def first_key(work: TrainingJob) -> str:
    """Return where a training keeps its first member alone."""
    return keys.checkpoint(work.recipe, work.version, "first.keras")


def twin_key(work: TrainingJob, site: str) -> str:
    """Return where a training keeps the member that it trained without a site."""
    return keys.checkpoint(work.recipe, work.version, f"{_folder(site)}trained.keras")


def epochs_of(work: TrainingJob, site: str) -> str:
    """Return the folder of that member's checkpoints."""
    return keys.checkpoint(work.recipe, work.version, f"{_folder(site)}epochs/")


def _folder(site: str) -> str:
    """Return a folder's name for a site, whose own may hold any character."""
    return f"without-{hashlib.sha256(site.encode()).hexdigest()[:12]}/"


def _raw(keras: bytes, test: Pictures, here: NDArray[np.bool_], *, min_quality: float) -> NDArray[np.float64]:
    """Return what a network says of these test records, shape (n_here,)."""
    from ecg_tasks.learning.export import keras_scores

    windows = here[test.record]
    scores = keras_scores(keras, test.images[windows])
    p = scores if scores.ndim == 1 else scores[:, 0]
    found = record_probabilities(test.record[windows], p, test.quality[windows], n_records=len(test.rows), min_quality=min_quality)
    return found[here]
