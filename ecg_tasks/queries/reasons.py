"""Here: the sentences that say why a record is in the reviewers' queue, each with its figures. Not here: its order (``review_queue``)."""

from dataclasses import dataclass

from ecg_tasks.report_columns import differs

MATTERS = {"disputed": 0.5, "contradicts_label": 0.0, "uncertain": 0.5, "recipes_disagree": 0.25, "low_quality": 0.3}
"""How strong a reason must be to get a sentence, from 0 to 1. ``uncertain`` is 0.5 where P is 0.27 or 0.73 at a threshold of 0.5."""


@dataclass(frozen=True, kw_only=True)
class Other:
    """What another recipe's champion says of the same record."""

    recipe: str
    probability: float
    threshold: float


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is known of one record: what the model that decides on it says, the label in force, and what other models say.

    Parameters
    ----------
    abstain : the band in which the model abstains; None without one
    """

    recipe: str
    decision: str
    probability: float | None
    threshold: float
    abstain: tuple[float, float] | None
    quality: float
    label: str | None
    others: tuple[Other, ...] = ()

    def sentence(self, code: str, strength: float) -> str:
        """Return the sentence of a reason, or an empty text where it does not matter or would not be true.

        Parameters
        ----------
        code : a field of `PriorityWeights`
        strength : of this reason, from 0 to 1, before it is weighed
        """
        if strength < MATTERS[code] or strength == 0:
            return ""
        match code:
            case "disputed":
                return "Reviewers differ, and neither label has a majority."
            case "contradicts_label":
                contradicts = differs(self.decision, self.label)
                return f"The model says {self.decision} ({self._figure()}), the label says {self.label}." if contradicts else ""
            case "uncertain":
                return self._uncertain()
            case "recipes_disagree":
                return self._disagree()
            case _:
                return f"The signal quality is {self.quality:.2f}, where 1 is clean."

    def _figure(self) -> str:
        return f"P {_rounded(self.probability, self.threshold)}, threshold {_rounded(self.threshold, self.probability)}"

    def _uncertain(self) -> str:
        if self.probability is None:
            return ""
        if self.abstain is not None and self.abstain[0] <= self.probability <= self.abstain[1]:
            low, high = self.abstain
            return f"The model abstains from P {low:.3f} to {high:.3f}, and here P is {self.probability:.3f}."
        return f"The probability is near the threshold: {self._figure()}."

    def _disagree(self) -> str:
        """Return a sentence if models differ: only where their probabilities lie on different sides of their thresholds."""
        if self.probability is None:
            return ""
        above = self.probability >= self.threshold
        against = [other for other in self.others if (other.probability >= other.threshold) != above]
        models = ", ".join(f"{other.recipe} P {other.probability:.2f} (threshold {other.threshold:.2f})" for other in against)
        return f"The models differ: {self.recipe} {self._figure()}; {models}." if against else ""


def _rounded(value: float | None, beside: float | None) -> str:
    """Format a probability with two digits, or with three where two would make it look like its neighbour."""
    if value is None:
        return "not known"
    alike = beside is not None and f"{value:.2f}" == f"{beside:.2f}"
    return f"{value:.3f}" if alike else f"{value:.2f}"
