"""Here: what a report is made of, as frozen objects that check that they add up. Not here: drawing, pages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.counts import ReportCounts
from ecg_tasks.evaluation.intervals import Interval
from ecg_tasks.labels import Decision
from ecg_tasks.report_columns import Row
from ecg_tasks.reporting.attribution import Attribution
from ecg_tasks.reporting.changes import Changes
from ecg_tasks.reporting.predictions import Predictions
from ecg_tasks.reporting.since import Since
from ecg_tasks.signals.record import Record


@dataclass(frozen=True, kw_only=True)
class ReportedClass:
    """A class that a model reports.

    Parameters
    ----------
    name : as labels name it
    threshold : a record has it from this probability on
    abstain : (low, high); inside, borders included, it is uncertain; None when the model never abstains
    system, code, display : what it is in a terminology; empty where that is not known
    auroc : on the test patients; None where it was not tested
    """

    name: str
    threshold: float
    abstain: tuple[float, float] | None
    system: str = ""
    code: str = ""
    display: str = ""
    auroc: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class ModelSummary:
    """One model version that took part in the run, with what its test showed.

    Parameters
    ----------
    recipe, version, digest : which model; ``digest`` is that of its files
    since : when it became champion, ISO 8601
    threshold : a record is abnormal from this P(abnormal) on
    abstain : (low, high); a record with a probability inside, borders included, is uncertain; None when the model never abstains
    test_figures : metric name (``auroc``, ``sensitivity``, …) to its value and interval on the test patients
    n_test_records, n_test_patients : size of that test set
    split_unit : what was kept apart between training and test: ``patient``, ``record`` or ``beat``
    synthetic : trained on recordings made by a program
    baselines : name of a simpler method ("beat length alone") to its AUROC on the same test records
    classes : what else it reports of a record, in its order
    """

    recipe: str
    version: str
    digest: str
    since: str
    threshold: float
    abstain: tuple[float, float] | None
    test_figures: Mapping[str, Interval]
    n_test_records: int
    n_test_patients: int
    split_unit: str
    synthetic: bool
    baselines: Mapping[str, Interval] = field(default_factory=dict)
    classes: tuple[ReportedClass, ...] = ()

    @property
    def key(self) -> tuple[str, str]:
        """Which rows of the predictions are this model's."""
        return self.recipe, self.version


@dataclass(frozen=True, kw_only=True)
class ReportedInput:
    """One input that could not be read; ``reason`` is a value of ``errors.Reason``, ``message`` the sentence for people."""

    name: str
    reason: str
    message: str
    sha256: str


@dataclass(frozen=True, kw_only=True)
class UnseenFigures:
    """How one model did on those labelled records of the run that no training set has seen."""

    recipe: str
    version: str
    figures: Mapping[str, Interval]
    n_records: int
    n_patients: int
    split_unit: str


@dataclass(frozen=True, kw_only=True)
class DriftLight:
    """How a version stands: ``steady``, ``watch``, ``drift`` or ``unknown``, why, and since which run it drifts."""

    recipe: str
    version: str
    state: str
    sentence: str
    since: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunReport:
    """The content of a run's report, except the pages of single records.

    Parameters
    ----------
    run_id, date, dag : which run; ``date`` is YYYY-MM-DD
    created_utc : ISO 8601
    counts : the counts; they must agree with ``predictions`` and ``quarantined``
    models : every (recipe, version) that occurs in ``predictions``
    predictions : one row a record
    quarantined : every input in quarantine, with its reason
    unseen : figures over labelled records that no training set has seen, one entry a model
    unseen_absent : when ``unseen`` is empty, a sentence that says why
    notes : sentences shown under the counts ("12 recordings wait for their spectrograms.")
    backfill : what was decided on again, shown at the top of the page; empty for a nightly report
    waiting : how many files wait in the inbox, what for, and how many records have no pictures yet, by name
    changes : decisions of the archive that a change of champions changed; None where no champion changed
    since : the report before, and what is other now; None for the first one, and in older reports
    drift : how each version stands that decided; none in older reports

    Raises
    ------
    ValueError
        If anything does not agree; the message has both sides.
    """

    run_id: str
    date: str
    dag: str
    created_utc: str
    counts: ReportCounts
    models: Sequence[ModelSummary]
    predictions: Predictions
    quarantined: Sequence[ReportedInput] = ()
    unseen: Sequence[UnseenFigures] = ()
    unseen_absent: str = ""
    notes: Sequence[str] = ()
    backfill: str = ""
    waiting: Mapping[str, Any] = field(default_factory=dict)
    changes: Changes | None = None
    since: Since | None = None
    drift: Sequence[DriftLight] = ()

    def __post_init__(self) -> None:
        self.counts.check()
        found = self.predictions.decisions
        expected = {
            "classified": found[Decision.NORMAL] + found[Decision.ABNORMAL],
            "uncertain": found[Decision.UNCERTAIN],
            "uninterpretable": found[Decision.UNINTERPRETABLE],
            "quarantined": len(self.quarantined),
        }
        for name, count in expected.items():
            if getattr(self.counts, name) != count:
                raise ValueError(f"the counts say {name}={getattr(self.counts, name)}, the rows say {count}")
        listed = {model.key for model in self.models}
        unlisted = [key for key in self.predictions.n_by_model if key not in listed]
        if unlisted:
            raise ValueError(f"predictions were made by {unlisted}, which models do not list")
        if not self.unseen and not self.unseen_absent:
            raise ValueError("unseen is empty and unseen_absent does not say why")

    def model_of(self, row: Row) -> ModelSummary:
        """Return the model that decided on a record, with the threshold and the band that held for it: those of its site may be others."""
        model = next(model for model in self.models if model.key == (row["recipe"], row["version"]))
        if row["threshold"] is None:
            return model
        band = None if row["abstain_low"] is None else (row["abstain_low"], row["abstain_high"])
        return replace(model, threshold=row["threshold"], abstain=band)


@dataclass(frozen=True, kw_only=True, eq=False)
class SpectrogramView:
    """One spectrogram to be drawn with its axes.

    Parameters
    ----------
    title : lead or beat ("V2", "beat at 3.2 s")
    values : ndarray, shape (n_freqs, n_times), row 0 the lowest frequency
        Float in dB, or uint8 where 0 means ``db_range[0]`` and 255 means ``db_range[1]``.
    freqs_hz : ndarray, shape (n_freqs,), Hz, evenly spaced
    times_s : ndarray, shape (n_times,), s from the window's start, centres of the frames, evenly spaced
    db_range : dB at the dark and at the bright end of the colour bar; None where a picture has its own range, which is not known
    """

    title: str
    values: NDArray[Any]
    freqs_hz: NDArray[np.floating]
    times_s: NDArray[np.floating]
    db_range: tuple[float, float] | None

    def __post_init__(self) -> None:
        shape = (len(self.freqs_hz), len(self.times_s))
        if self.values.shape != shape or 0 in shape:
            raise ValueError(f"values have shape {self.values.shape}; the axes say {shape}, and neither may be empty")
        if self.db_range is None and self.values.dtype != np.uint8:
            raise ValueError(f"values are {self.values.dtype} in dB, so db_range must be known")
        if self.db_range is not None and not self.db_range[0] < self.db_range[1]:
            raise ValueError(f"db_range is {self.db_range}; it must rise")


@dataclass(frozen=True, kw_only=True, eq=False)
class RecordDetail:
    """What the page of one record shows beyond its row.

    Parameters
    ----------
    record : the signal; ``record.record_id == row["record_id"]``
    row : what the run says of it
    spectrograms : what the network saw: the leads of one window (12 views are drawn as a grid), or some beats
    shown_from_s : the 10 s from here on are drawn on ECG paper; matters only for longer recordings
    beats_s : R peaks, s from the record's start; drawn as small marks
    attribution : what the decision is based on; None if not asked for, or without a decision
    """

    record: Record
    row: Row
    spectrograms: Sequence[SpectrogramView] = ()
    shown_from_s: float = 0.0
    beats_s: Sequence[float] = ()
    attribution: Attribution | None = None

    def __post_init__(self) -> None:
        if self.record.record_id != self.row["record_id"]:
            raise ValueError(f"the record is {self.record.record_id}, its row {self.row['record_id']}")
        if len({view.db_range for view in self.spectrograms}) > 1:
            raise ValueError("the spectrograms have different db_range; they share one colour bar")
