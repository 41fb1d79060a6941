"""Here: pictures with the truth about their records, as training takes them. Not here: which record is in which split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import NotEnoughDataError, SignalError

MIN_RECORDS_PER_CLASS = 2
"""In every fold that a member is stopped on."""
NOT_KNOWN = 255
"""Stands where it is not known whether a record is abnormal, or has a class."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingSet:
    """The labelled windows of one split.

    Parameters
    ----------
    images : ndarray, shape (n, height, width, channels), uint8; may be a memory map, and is read batch by batch, never copied whole
    labels : ndarray, shape (n,), uint8: 0 normal, 1 abnormal; the truth about the window's record. ``NOT_KNOWN`` only where a class is
        known: such a record teaches its classes, and counts nowhere else
    records : ndarray, shape (n,), integers: windows with the same number are of one record
    rows : ndarray, shape (n,), integers: where in ``images`` each window is, if not all are of this set (``subset``)
    class_names : what else is to be said of a record beside abnormal, in the order of the network's outputs
    classes : ndarray, shape (n, n_classes), uint8: 1 where the window's record has the class, 0 where it has not, or ``NOT_KNOWN``; None
        without classes

    Raises
    ------
    SignalError
        If shapes or types do not fit, or a record has two labels, or a class both present and absent.
    NotEnoughDataError
        If there is no normal or no abnormal record.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    records: NDArray[np.integer]
    rows: NDArray[np.integer] | None = None
    class_names: tuple[str, ...] = ()
    classes: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        if self.images.ndim != len(("n", "height", "width", "channels")) or self.images.dtype != np.uint8:
            raise SignalError(
                f"images must be uint8 of shape (n, height, width, channels), not {self.images.dtype} of shape {self.images.shape}"
            )
        n = len(self.images) if self.rows is None else len(self.rows)
        if self.labels.shape != (n,) or self.records.shape != (n,):
            raise SignalError(f"{n} images, but labels of shape {self.labels.shape} and records of shape {self.records.shape}")
        self._check_classes(n)
        allowed = (0, 1) if self.classes is None else (0, 1, NOT_KNOWN)
        if not np.isin(self.labels, allowed).all():
            raise SignalError(f"labels must be 0 (normal) or 1 (abnormal), not {np.unique(self.labels)[:5]}")
        first = np.unique(self.records, return_index=True)[1]
        for truth in (self.labels, *(() if self.classes is None else self.classes.T)):
            if not (truth[first][self.record_index] == truth).all():
                raise SignalError("windows of one record have different labels")
        known = self.record_labels[self.record_labels != NOT_KNOWN]
        if known.all() or not known.any():
            raise NotEnoughDataError(f"training needs both classes; there are {known.sum()} abnormal among {known.size} records")

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, chosen: NDArray[np.bool_]) -> "TrainingSet":
        """Return the windows for which ``chosen``, shape (n,), is true; their pictures stay where they are."""
        rows = np.arange(len(self)) if self.rows is None else self.rows
        return TrainingSet(
            images=self.images,
            labels=self.labels[chosen],
            records=self.records[chosen],
            rows=rows[chosen],
            class_names=self.class_names,
            classes=None if self.classes is None else self.classes[chosen],
        )

    def pictures(self, places: NDArray[np.integer] | slice) -> NDArray[np.uint8]:
        """Return pictures of the windows at these places of the set, copied."""
        taken: NDArray[np.uint8] = np.array(self.images[places if self.rows is None else self.rows[places]])
        return taken

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """Height, width, channels."""
        height, width, channels = self.images.shape[1:]
        return height, width, channels

    @property
    def n_outputs(self) -> int:
        """Outputs of a network that learns from this set: one for abnormal, and one for each class."""
        return 1 + len(self.class_names)

    @property
    def truth(self) -> NDArray[np.uint8]:
        """What each output should say of each window, shape (n, n_outputs): 0, 1 or ``NOT_KNOWN``."""
        return self.labels[:, None] if self.classes is None else np.column_stack([self.labels, self.classes])

    @property
    def record_index(self) -> NDArray[np.intp]:
        """Index of each window's record, shape (n,), counting records from 0 in the order of their numbers."""
        index: NDArray[np.intp] = np.unique(self.records, return_inverse=True)[1]
        return index

    @property
    def record_labels(self) -> NDArray[np.uint8]:
        """The label of each record, shape (n_records,), in the order of ``record_index``."""
        return self.labels[np.unique(self.records, return_index=True)[1]]

    def weights(self, *, balance: bool) -> NDArray[np.float32]:
        """Return what each window counts, shape (n,), mean 1: every record the same, however many windows it has.

        Parameters
        ----------
        balance : let both classes count the same in sum. The probabilities then no longer follow the prevalence of the
            data, which a temperature cannot mend.
        """
        index = self.record_index
        weights: NDArray[np.float64] = 1 / np.bincount(index)[index]
        if balance:
            abnormal, normal = self.labels == 1, self.labels == 0
            known = weights[abnormal | normal].mean()
            weights[abnormal] /= weights[abnormal].sum()
            weights[normal] /= weights[normal].sum()
            weights[abnormal | normal] *= known / weights[abnormal | normal].mean()
        scaled: NDArray[np.float32] = (weights / weights.mean()).astype(np.float32)
        return scaled

    def output_weights(self, *, balance: bool) -> NDArray[np.float32]:
        """Return what each window counts for each output, shape (n, n_outputs): 0 where the truth is not known.

        ``balance`` is for abnormal alone; a class counts as often as it occurs.
        """
        columns = [self.weights(balance=balance), *[self.weights(balance=False)] * len(self.class_names)]
        counted: NDArray[np.float32] = np.where(self.truth == NOT_KNOWN, np.float32(0), np.column_stack(columns))
        return counted

    def _check_classes(self, n: int) -> None:
        if (self.classes is None) != (not self.class_names) or len(set(self.class_names)) < len(self.class_names):
            raise SignalError(f"class_names={self.class_names} do not fit the classes, or repeat a name")
        if self.classes is None:
            return
        if self.classes.shape != (n, len(self.class_names)) or self.classes.dtype != np.uint8:
            raise SignalError(f"classes are {self.classes.dtype} of shape {self.classes.shape}; they must be uint8 of ({n}, n_classes)")
        if not np.isin(self.classes, (0, 1, NOT_KNOWN)).all():
            raise SignalError(f"a class is 0 (absent), 1 (present) or {NOT_KNOWN} (not known), not {np.unique(self.classes)[:5]}")
        if ((self.labels == NOT_KNOWN) & (self.classes == NOT_KNOWN).all(axis=1)).any():
            raise SignalError("a window of which nothing is known, neither normal or abnormal nor a class, teaches nothing")


def rotating_folds(
    labels: NDArray[np.uint8], buckets: NDArray[np.integer], *, ensemble_size: int, held_out: NDArray[np.bool_]
) -> list[NDArray[np.bool_]]:
    """Return which records each member of an ensemble is stopped on, all others being those that it is trained on.

    Parameters
    ----------
    labels : ndarray, shape (n_records,), 0 normal, 1 abnormal, or ``NOT_KNOWN``
    buckets : ndarray, shape (n_records,): each patient's place in every split; a record below 0 is only ever trained on
    ensemble_size : wanted; it becomes fewer where a fold would lack records of a class
    held_out : ndarray, shape (n_records,): what a single member is stopped on

    Returns
    -------
    list of ndarray, shape (n_records,), bool
        One a member: member m of M is stopped on an eighth of the patients if M is 4, on those whose buckets leave m when divided
        by 2 M, so that it learns from most. One member is stopped on ``held_out``.
    """
    for n in range(ensemble_size, 1, -1):
        folds = [(buckets >= 0) & (buckets % (2 * n) == member) for member in range(n)]
        if all(np.count_nonzero(labels[fold] == label) >= MIN_RECORDS_PER_CLASS for fold in folds for label in (0, 1)):
            return folds
    return [held_out]
