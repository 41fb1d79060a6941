"""Here: a plain logistic regression, the baseline that a network must beat. Not here: its features (``signals.simple_features``)."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ecg_tasks.errors import NotEnoughDataError, SignalError
from ecg_tasks.evaluation.calibration import sigmoid
from ecg_tasks.evaluation.metrics import as_labels


@dataclass(frozen=True, kw_only=True)
class LogisticBaseline:
    """A fitted logistic regression on a few features of a record.

    Each feature is standardised with ``mean`` and ``scale`` of the records that it was fitted on; one that could not be
    measured counts as its mean.

    Parameters
    ----------
    features : names of the features, in order
    mean, scale : of each feature, in its own unit
    coefficients : log-odds of abnormal for one ``scale`` more of each feature
    intercept : log-odds at the mean of all features
    n_records : how many it was fitted on
    """

    features: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    coefficients: tuple[float, ...]
    intercept: float
    n_records: int

    def probabilities(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return P(abnormal) of records with features of shape (n_records, n_features), nan where not measured; shape (n_records,)."""
        if features.shape[1:] != (len(self.features),):
            raise SignalError(f"features have shape {features.shape}; this baseline reads (n, {len(self.features)})")
        standard = _standardised(features, np.array(self.mean), np.array(self.scale))
        return sigmoid(standard @ np.array(self.coefficients) + self.intercept)

    def as_dict(self) -> dict[str, Any]:
        """Return plain numbers and lists for ``metrics.json``."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Self:
        """Read what ``as_dict`` returned."""
        fields: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in plain.items()}
        return cls(**fields)


def fit_logistic(labels: ArrayLike, features: NDArray[np.float64], *, names: Sequence[str]) -> LogisticBaseline:
    """Fit by maximum likelihood with a ridge of one half of the squared coefficients, as scikit-learn does by default.

    Parameters
    ----------
    labels : array_like, shape (n_records,), 0 normal or 1 abnormal
    features : ndarray, shape (n_records, n_features), nan where a feature could not be measured
    names : of the features

    Raises
    ------
    NotEnoughDataError
        If a class is absent.

    References
    ----------
    Hastie, Tibshirani, Friedman, The Elements of Statistical Learning, 2009, section 4.4.
    """
    from scipy.optimize import minimize

    truth = as_labels(labels)
    if truth.all() or not truth.any():
        raise NotEnoughDataError(f"a baseline needs both classes; there are {truth.sum()} abnormal among {truth.size} records")
    if features.shape != (truth.size, len(names)):
        raise SignalError(f"features have shape {features.shape}; it must be {truth.size} records by {len(names)} features")
    known = np.isfinite(features)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, features, 0).sum(axis=0) / count
    spread = np.sqrt((np.where(known, features - mean, 0) ** 2).sum(axis=0) / count)
    scale = np.where(spread > 0, spread, 1.0)
    design = np.column_stack([_standardised(features, mean, scale), np.ones(truth.size)])
    sign = np.where(truth, 1.0, -1.0)

    def loss(weights: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margin = sign * (design @ weights)
        ridge = np.append(weights[:-1], 0.0)
        gradient = -(sign * sigmoid(-margin)) @ design + ridge
        return float(np.logaddexp(0, -margin).sum() + ridge @ ridge / 2), gradient

    def curvature(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        p = sigmoid(design @ weights)
        return np.asarray((design * (p * (1 - p))[:, None]).T @ design + np.diag([*np.ones(len(names)), 0.0]))

    found = minimize(loss, np.zeros(len(names) + 1), jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-10})
    return LogisticBaseline(
        features=tuple(names),
        mean=tuple(mean.tolist()),
        scale=tuple(scale.tolist()),
        coefficients=tuple(found.x[:-1].tolist()),
        intercept=float(found.x[-1]),
        n_records=int(truth.size),
    )


def _standardised(features: NDArray[np.float64], mean: NDArray[np.float64], scale: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(np.isfinite(features), (features - mean) / scale, 0.0)
