"""Here: does deleting what an explanation marks move P more than deleting as much elsewhere? Not here: explaining (``pipeline.reports``).

``python -m research.explanation_truth FOLDER`` explains the shipped champion's answer on every recording of a folder, takes what is marked
out of the recording itself, at every beat, and lets the champion answer again. Out of the recording, not out of the picture: the
explanation was found by changing pictures, so that would be to ask it about itself. In the place of what is deleted stands a straight
line (``flat``), or the typical normal beat of the folder, moved so that it begins and ends where the line would (``typical``).
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.calibration import logit
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.names import RecipeName
from ecg_tasks.offline.classify_file import shipped_classifier
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.pipeline.reports.explaining import explain_record
from ecg_tasks.reporting.attribution import FAINT, N_SHADES, Attribution
from ecg_tasks.reporting.plainly import said
from ecg_tasks.signals.median_beats import median_beats
from ecg_tasks.signals.recipes import Recipe, recipe_of
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.rendering import LeadSpectrograms
from research.same_heart import read_folder

STEP_S = 0.008
"""Seconds of a step of the beat, in which is said what is deleted."""
TRIES = 100
"""Other places that are looked at for what was marked: its leads exchanged, its time moved."""
DRAWN = 8
"""Of these so many are deleted, each by itself; the one that takes most out of the signal is one more."""
TYPICAL_SHARE = 0.25
"""The typical normal beat is the median over this share of the recordings: those with the least P."""


@dataclass(frozen=True, kw_only=True)
class Truth:
    """What deletions moved the answer on one recording by, P, and log-odds after it: above 0 away from what the deleted part supports.

    Parameters
    ----------
    record, probability : which, and P(abnormal) of all of it
    share : of the beat in all leads that was deleted
    log_odds : of the recording less those of a typical normal one
    marked, elsewhere, loudest : where it is marked; in other places of the same shape, the mean of their sizes; in that of them which is
        loudest
    """

    record: str
    probability: float
    log_odds: float
    share: float
    marked: tuple[float, float]
    elsewhere: tuple[float, float]
    loudest: tuple[float, float]


@dataclass(frozen=True, kw_only=True, eq=False)
class MarkedBeats:
    """A recording, where its beats are, and how they are cut.

    Parameters
    ----------
    r_peaks_s : s from the record's start
    before_s, n_steps : the beat begins so long before the R peak, and has so many steps of ``STEP_S``
    rows : of the record's samples, those of the leads that are explained, in their order
    """

    record: Record
    r_peaks_s: NDArray[np.float64]
    before_s: float
    n_steps: int
    rows: Sequence[int]

    @classmethod
    def of(cls, record: Record, recipe: Recipe) -> "MarkedBeats":
        """Find the beats that pictures of a recording are made of."""
        picture = recipe.picture
        if not isinstance(picture, LeadSpectrograms):
            raise TypeError(f"{recipe.name} shows no leads")
        zeros_s = picture.shown_s(recipe.windows([record]))
        n_steps = round((picture.before_s + picture.after_s) / STEP_S)
        rows = [record.leads.index(lead) for lead in picture.leads]
        return cls(record=record, r_peaks_s=np.concatenate(zeros_s), before_s=picture.before_s, n_steps=n_steps, rows=rows)

    @property
    def steps_s(self) -> NDArray[np.float64]:
        """The middle of each step of the beat, s from the R peak."""
        return np.asarray((np.arange(self.n_steps) + 0.5) * STEP_S - self.before_s)

    def without(self, mask: NDArray[np.bool_], typical: NDArray[np.floating] | None = None) -> Record:
        """Return the recording with something else in the place of what is masked, shape (n_leads, n_steps), at every beat.

        That is a straight line, or, of the shape of the mask in mV, a typical beat on it.
        """
        samples, fs = self.record.samples.copy(), self.record.fs
        for index, (row, line) in enumerate(zip(self.rows, mask, strict=True)):
            for first, last in _runs(line):
                for r_peak in self.r_peaks_s:
                    start = round((r_peak - self.before_s + first * STEP_S) * fs)
                    end = round((r_peak - self.before_s + last * STEP_S) * fs)
                    start, end = max(start, 0), min(end, self.record.n_samples - 1)
                    if end <= start:
                        continue
                    n, there = end - start + 1, slice(start, end + 1)
                    if typical is None:
                        samples[row, there] = np.linspace(samples[row, start], samples[row, end], n)
                        continue
                    beat_s = np.arange(start, end + 1) / fs - r_peak + self.before_s
                    beat = np.interp(beat_s, np.arange(self.n_steps) * STEP_S, typical[index])
                    samples[row, there] = beat + np.linspace(samples[row, start] - beat[0], samples[row, end] - beat[-1], n)
        return replace(self.record, samples=samples)


def marked(attribution: Attribution, beats: MarkedBeats) -> NDArray[np.bool_]:
    """Return what is visibly shaded for the side of the answer, shape (n_leads, n_steps)."""
    sign = 1 if attribution.log_odds > 0 else -1
    strength = sign * attribution.strips / (np.abs(attribution.strips).max() or 1.0) * N_SHADES
    column = np.abs(beats.steps_s[:, None] - attribution.times_s).argmin(axis=1)  # the nearest
    return np.asarray((np.rint(strength) > FAINT)[:, column])


def named(attribution: Attribution, beats: MarkedBeats) -> NDArray[np.bool_] | None:
    """Return what the plain sentence names, shape (n_leads, n_steps); None where it names no part of the beat."""
    found = said(attribution)
    if found is None or not found.parts:
        return None
    at_s = beats.steps_s
    when = np.any([(at_s >= part.from_s) & (at_s < part.to_s) for part in found.parts], axis=0)
    leads = [not found.leads or lead in found.leads for lead in attribution.leads]
    return np.asarray(np.array(leads)[:, None] & when, dtype=bool)


def moved(mask: NDArray[np.bool_], rng: np.random.Generator) -> list[NDArray[np.bool_]]:
    """Return the same shape in other places, its leads exchanged and its time moved, none of it where it was; none if it is too large."""
    found = []
    for _ in range(TRIES):
        other = np.roll(mask[rng.permutation(len(mask))], int(rng.integers(mask.shape[1])), axis=1)
        if not (other & mask).any():
            found.append(other)
    return found


def typical_beat(records: Sequence[Record], classifier: Classifier, recipe: Recipe) -> NDArray[np.float64]:
    """Return the median beat of the recordings that the champion is surest are normal, shape (n_leads, n_steps), mV."""
    picture = recipe.picture
    if not isinstance(picture, LeadSpectrograms):
        raise TypeError(f"{recipe.name} shows no leads")
    taken = [record for record in records if recipe.accepts(record)]
    least = np.argsort(probabilities(classifier, recipe, taken))[: max(round(TYPICAL_SHARE * len(taken)), 1)]
    windows = recipe.windows([taken[index] for index in least])
    beats = median_beats(windows.samples, fs=picture.fs, before_s=picture.before_s, after_s=picture.after_s, n_real=windows.n_real)
    if round(STEP_S * picture.fs, 9) != 1:
        raise ValueError(f"a sample of {recipe.name} takes {1 / picture.fs} s; a step takes {STEP_S} s")
    return np.asarray(np.median(beats, axis=0), dtype=np.float64)


def truths(records: Mapping[str, Record], classifier: Classifier) -> Iterator[tuple[str, Truth]]:
    """Yield, for every recording that the recipe takes, what deleting the shades, and what the sentence names, moves: by each way."""
    recipe = recipe_of(classifier.spec.recipe, classifier.spec.recipe_digest)
    ways = {"flat": None, "typical": typical_beat(list(records.values()), classifier, recipe)}
    for number, (name, record) in enumerate(records.items()):
        if not recipe.accepts(record) or (attribution := explain_record(classifier, record)) is None:
            continue
        beats = MarkedBeats.of(record, recipe)
        masks = {"shades": marked(attribution, beats), "sentence": named(attribution, beats)}
        for kind, mask in masks.items():
            others = [] if mask is None or not mask.any() else moved(mask, np.random.default_rng(number))
            if mask is None or not others:
                continue
            loudest = max(others, key=lambda other: float(np.abs(beats.without(other).samples - record.samples).sum()))
            for way, instead in ways.items():
                changed = [beats.without(other, instead) for other in (mask, loudest, *others[:DRAWN])]
                p = probabilities(classifier, recipe, [record, *changed])
                sign = 1 if attribution.log_odds > 0 else -1
                fell = sign * np.stack([p[0] - p, logit(p[0]) - logit(p)], axis=1)
                yield (
                    f"{kind}, {way}",
                    Truth(
                        record=name,
                        probability=float(p[0]),
                        log_odds=attribution.log_odds,
                        share=float(mask.mean()),
                        marked=(float(fell[1, 0]), float(fell[1, 1])),
                        elsewhere=(float(np.abs(fell[3:, 0]).mean()), float(np.abs(fell[3:, 1]).mean())),
                        loudest=(float(fell[2, 0]), float(fell[2, 1])),
                    ),
                )


def probabilities(classifier: Classifier, recipe: Recipe, records: Sequence[Record]) -> NDArray[np.float64]:
    """Return P(abnormal) of each recording, calibrated, whatever is thought of its quality: limb leads that were changed do not add up."""
    rendered = recipe.render(records)
    drawn = np.flatnonzero(rendered.window >= 0)
    outputs = classifier.predict_outputs(recipe.decode([rendered.png[row] for row in drawn]))
    decided = classifier.decide(rendered.record[drawn], outputs, np.ones(len(drawn), np.float32), n_records=len(records))
    return np.asarray(decided.probability, dtype=np.float64)


def summary(found: Sequence[Truth]) -> dict[str, float]:
    """Return the figures over recordings: medians of the moves of P, and how often the marked place moves it more than another."""
    moves = np.abs([[one.marked, one.elsewhere, one.loudest] for one in found])
    by_log_odds, p = moves[:, :, 1], np.median(moves[:, :, 0], axis=0)
    return {
        "recordings": len(found),
        "share": float(np.median([one.share for one in found])),
        "marked": float(p[0]),
        "elsewhere": float(p[1]),
        "loudest": float(p[2]),
        "more_than_elsewhere": float((by_log_odds[:, 0] > by_log_odds[:, 1]).mean()),
        "more_than_loudest": float((by_log_odds[:, 0] > by_log_odds[:, 2]).mean()),
        "right_way": float(np.mean([one.marked[1] > 0 for one in found])),
    }


def _runs(line: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the begin and end of each run of true values."""
    edge = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(np.int8), [0]])))
    return list(zip(edge[::2].tolist(), edge[1::2].tolist(), strict=True))


def main() -> None:
    """Print a table: one line for the shades and one for the sentence, of answers on both sides and of each."""
    parser = argparse.ArgumentParser(description="Does deleting what an explanation marks move P more than deleting as much elsewhere?")
    parser.add_argument("folder", type=Path, help="WFDB recordings, such as those of PTB-XL at 500 Hz")
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS)
    parser.add_argument("--json", type=Path, help="keep every recording's moves, for a program")
    arguments = parser.parse_args()
    classifier = shipped_classifier(RecipeName.TWELVE_LEAD.value, arguments.models)
    threshold = classifier.spec.threshold
    found: dict[str, list[Truth]] = {}
    for kind, one in truths(read_folder(arguments.folder), classifier):
        found.setdefault(kind, []).append(one)
    print(f"twelve_lead {classifier.spec.version}\n")
    columns = ("deleted", "answers", "recordings", "share of the beat", "marked", "elsewhere", "loudest")
    print(f"| {' | '.join((*columns, 'more than elsewhere', 'than the loudest', 'right way'))} |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for kind, lines in found.items():
        groups = {
            "all": lines,
            "abnormal": [one for one in lines if one.probability >= threshold],
            "normal": [one for one in lines if one.probability < threshold],
        }
        for label, group in groups.items():
            if group:
                it = summary(group)
                print(
                    f"| {kind} | {label} | {it['recordings']} | {it['share']:.0%} | {it['marked']:.3f} | {it['elsewhere']:.3f} |"
                    f" {it['loudest']:.3f} | {it['more_than_elsewhere']:.0%} | {it['more_than_loudest']:.0%} | {it['right_way']:.0%} |",
                    flush=True,
                )
    if arguments.json:
        arguments.json.write_text(json.dumps({kind: [asdict(one) for one in lines] for kind, lines in found.items()}, indent=1) + "\n")


if __name__ == "__main__":
    main()
