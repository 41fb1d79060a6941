"""Here: what a decision is based on, in one plain sentence. Not here: the maps that show it (``attribution``)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.reporting.attribution import Attribution, BeatPart

MOST = 0.5
"""What the sentence names, parts of the beat in leads, has at least this share of all that supports the answer."""
MAX_PARTS, MAX_LEADS = 2, 6
"""More of them are not named one by one."""
NEARLY = 0.8
"""A lead with this share of the effect of the last one that must be named is named, too."""
NOTHING = 0.05
"""Log-odds: where all that supports one side is less, nothing stands out."""


@dataclass(frozen=True, kw_only=True)
class Phrase:
    """What the sentence names: a side, parts of the beat and leads; no leads where it is all or most of them, or there is but one."""

    side: str
    parts: tuple[BeatPart, ...]
    leads: tuple[str, ...]
    in_most_leads: bool

    @property
    def sentence(self) -> str:
        """The sentence.

        >>> Phrase(side="abnormal", parts=(BeatPart("T wave", 0.2, 0.4),), leads=("V2", "V3", "V4"), in_most_leads=False).sentence
        'What supports abnormal is mostly the T wave in V2 to V4.'
        """
        if not self.parts:
            return f"What supports {self.side} is spread over the whole beat{self._where}."
        return f"What supports {self.side} is mostly {_joined([f'the {part.name}' for part in self.parts])}{self._where}."

    @property
    def _where(self) -> str:
        if self.in_most_leads:
            return " in most leads"
        return f" in {_joined(ranges(self.leads))}" if self.leads else ""


def plainly(attribution: Attribution) -> str:
    """Return one sentence on what supports the side that the effects lean to."""
    found = said(attribution)
    return found.sentence if found else "No part of it stands out from a typical normal recording."


def said(attribution: Attribution) -> Phrase | None:
    """Find the parts of the beat, and the leads, that support most the side that the effects lean to; None where nothing stands out.

    Where the waves of the beat are not known, the part is a time after the R peak.
    """
    side, sign = ("abnormal", 1) if attribution.log_odds > 0 else ("normal", -1)
    effect = np.clip(sign * attribution.strips, 0, None)
    if effect.sum() < NOTHING:
        return None
    parts = attribution.parts or (_stretch(effect.sum(axis=0), attribution.times_s),)
    weight = np.stack([effect @ shares(part, attribution.times_s) for part in parts])  # (n_parts, n_leads)
    wanted = MOST * effect.sum()
    order = np.argsort(-weight.sum(axis=1), kind="stable")
    for n_parts in range(1, min(MAX_PARTS, len(parts)) + 1):
        chosen = sorted(order[:n_parts].tolist())
        leads = _fewest(weight[chosen].sum(axis=0), wanted)
        if 0 < len(leads) <= MAX_LEADS:
            among = tuple(attribution.leads[index] for index in leads) if len(attribution.leads) > 1 else ()
            return Phrase(side=side, parts=tuple(parts[index] for index in chosen), leads=among, in_most_leads=False)
    chosen = _fewest(weight.sum(axis=1), wanted)
    named = tuple(parts[index] for index in chosen) if len(chosen) <= MAX_PARTS else ()
    return Phrase(side=side, parts=named, leads=(), in_most_leads=len(attribution.leads) > 1)


def shares(part: BeatPart, times_s: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return how much of each column of a picture a part of the beat takes, 0 to 1; ``times_s`` are the columns' centres."""
    hop = float(times_s[1] - times_s[0]) if len(times_s) > 1 else 1.0
    start = np.asarray(times_s) - hop / 2
    return np.asarray(np.clip(np.minimum(start + hop, part.to_s) - np.maximum(start, part.from_s), 0, None) / hop)


def ranges(leads: Sequence[str]) -> list[str]:
    """Return leads as people name them: three or more chest leads in a row are a range.

    >>> ranges(["I", "aVL", "V2", "V3", "V4", "V6"])
    ['I', 'aVL', 'V2 to V4', 'V6']
    """
    found: list[list[str]] = []
    for lead in leads:
        if found and _chest(lead) and _chest(found[-1][-1]) == _chest(lead) - 1 > 0:
            found[-1].append(lead)
        else:
            found.append([lead])
    return [name for run in found for name in ([f"{run[0]} to {run[-1]}"] if len(run) > 2 else run)]  # noqa: PLR2004 - two are no range


def _chest(lead: str) -> int:
    return int(lead[1:]) if lead.startswith("V") and lead[1:].isdigit() else 0


def _joined(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _fewest(weights: NDArray[np.floating], wanted: float) -> list[int]:
    """Return the fewest places, in their order, that weigh as much as is wanted, with those that weigh nearly as much as the least of them.

    Where all do not weigh as much, it is none.
    """
    order = np.argsort(-weights, kind="stable")
    n = int(np.searchsorted(np.cumsum(weights[order]), wanted * (1 - 1e-9))) + 1
    if n > len(order):
        return []
    return sorted(order[weights[order] >= NEARLY * weights[order[n - 1]]].tolist())


def _stretch(effect: NDArray[np.floating], times_s: NDArray[np.floating]) -> BeatPart:
    """Return the shortest time that has ``MOST`` of the effects, as a part with a name of its own."""
    hop = float(times_s[1] - times_s[0]) if len(times_s) > 1 else 1.0
    total = np.concatenate([[0.0], np.cumsum(effect)])
    spans = [(last - first, first, last) for first in range(len(effect)) for last in range(first + 1, len(effect) + 1)]
    _, first, last = min(span for span in spans if total[span[2]] - total[span[1]] >= MOST * total[-1] * (1 - 1e-9))
    from_s, to_s = float(times_s[first]) - hop / 2, float(times_s[last - 1]) + hop / 2
    return BeatPart(f"time from {from_s:.2f} to {to_s:.2f} s after the R peak".replace("-", "−"), from_s, to_s)
