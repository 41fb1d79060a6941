"""Here: how much a decision hangs on the rate, the length and the filters of a recording. Not here: deciding (``offline.classify_file``).

``python -m research.same_heart FOLDER --twins FOLDER100`` lets the shipped champions decide on every recording of the first folder,
and on the same recordings at other rates, of other lengths and through other filters. Twins are the same recordings at another
rate as their source made them: of PTB-XL ``00001_lr`` is that of ``00001_hr``.
"""

import argparse
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import BadInputError
from ecg_tasks.labels import Decision
from ecg_tasks.names import RecipeName
from ecg_tasks.offline.classify_file import decide_records, read_path, shipped_classifier
from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.record import Record
from ecg_tasks.signals.resampling import resample

TWINS = "as the source has them at another rate"
LONG_S = 30.0
"""Three windows."""
NOTCH_QUALITY = 30.0
"""Frequency of a notch over its width at -3 dB: at 50 Hz it takes 1.7 Hz away."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a champion says of one recording; its recipe may not take it."""

    probability: float = np.nan
    decision: Decision | None = None


@dataclass(frozen=True, kw_only=True)
class Moved:
    """What a change of n recordings did to their decisions.

    Parameters
    ----------
    n : recordings, each before and after
    n_not_taken : those that the recipe takes before or after alone, such as one with too few beats
    median, p95 : of the absolute change of P(abnormal), over those with one before and after
    equal : share of the n with the same decision; one that is not taken any more has another
    """

    n: int
    n_not_taken: int
    median: float
    p95: float
    equal: float


def at_rate(fs: float) -> Callable[[Record], Record]:
    """Return what brings a recording to another rate, Hz."""
    return lambda record: replace(record, samples=resample(record.samples, fs=record.fs, target_fs=fs), fs=fs)


def first(seconds: float) -> Callable[[Record], Record]:
    """Return what keeps a recording's first seconds."""
    return lambda record: replace(record, samples=record.samples[:, : round(seconds * record.fs)])


def three_times(record: Record) -> Record:
    """Return a recording's first ten seconds three times, one after the other."""
    return replace(record, samples=np.tile(first(10)(record).samples, 3))


def high_pass(hz: float) -> Callable[[Record], Record]:
    """Return a high-pass of an electrocardiograph that delays nothing: a Butterworth filter of first order, run both ways."""
    return _both_ways(1, hz)


def high_pass_one_way(hz: float) -> Callable[[Record], Record]:
    """Return a high-pass of an amplifier, a single pole.

    Above 0.05 Hz it moves the ST segment (Kligfield et al., Circulation 115(10), 2007): the recording is then another one.
    """

    def change(record: Record) -> Record:
        from scipy.signal import butter, sosfilt, sosfilt_zi

        sections = butter(1, hz, "highpass", fs=record.fs, output="sos")
        settled = sosfilt_zi(sections)[:, None, :] * record.samples[None, :, :1]
        return _filtered(record, sosfilt(sections, record.samples, axis=-1, zi=settled)[0])

    return change


def notch(hz: float) -> Callable[[Record], Record]:
    """Return a filter against the hum of the mains that delays nothing."""

    def change(record: Record) -> Record:
        from scipy.signal import filtfilt, iirnotch

        return _filtered(record, filtfilt(*iirnotch(hz, NOTCH_QUALITY, fs=record.fs), record.samples, axis=-1))

    return change


def _both_ways(order: int, hz: float) -> Callable[[Record], Record]:
    def change(record: Record) -> Record:
        from scipy.signal import butter, sosfiltfilt

        return _filtered(record, sosfiltfilt(butter(order, hz, "highpass", fs=record.fs, output="sos"), record.samples, axis=-1))

    return change


def _filtered(record: Record, samples: NDArray[np.floating]) -> Record:
    return replace(record, samples=samples.astype(np.float32))


CHANGES: Mapping[str, Callable[[Record], Record]] = MappingProxyType(
    {
        "250 Hz": at_rate(250),
        "100 Hz": at_rate(100),
        "30 s, by repetition": three_times,
        "high-pass 0.05 Hz": high_pass(0.05),
        "high-pass 0.5 Hz": high_pass(0.5),
        "high-pass 0.05 Hz, one way": high_pass_one_way(0.05),
        "high-pass 0.5 Hz, one way": high_pass_one_way(0.5),
        "notch 50 Hz": notch(50),
        "notch 60 Hz": notch(60),
        "first 8 s": first(8),
        "first 6 s": first(6),
        "first 5 s": first(5),
    }
)
"""What may have been done to a recording of the same heart. Its gains and its offset are not among them."""


def answers(records: Sequence[Record], recipe: str, models: Path) -> list[Answer]:
    """Let a champion decide on every recording that its recipe takes, in their order."""
    taken = [index for index, record in enumerate(records) if get_recipe(recipe).accepts(record)]
    found = [Answer()] * len(records)
    for index, one in zip(taken, decide_records([records[index] for index in taken], (recipe,), models), strict=True):
        found[index] = Answer(probability=one.probability, decision=one.decision)
    return found


def difference(before: Sequence[Answer], after: Sequence[Answer]) -> Moved:
    """Compare answers on the same recordings, in the same order; those that were never taken are left out."""
    pairs = [(one, other) for one, other in zip(before, after, strict=True) if one.decision or other.decision]
    moved = np.abs([one.probability - other.probability for one, other in pairs])
    moved = moved[~np.isnan(moved)]
    return Moved(
        n=len(pairs),
        n_not_taken=sum(one.decision is None or other.decision is None for one, other in pairs),
        median=float(np.median(moved)),
        p95=float(np.quantile(moved, 0.95)),
        equal=float(np.mean([one.decision == other.decision for one, other in pairs])),
    )


def read_folder(folder: Path) -> dict[str, Record]:
    """Return the first recording of every WFDB header in a folder that can be read, by the header's name before the first underscore."""
    found: dict[str, Record] = {}
    for path in sorted(folder.rglob("*.hea")):
        try:
            found[path.stem.split("_")[0]] = read_path(path).records[0]
        except BadInputError as error:
            print(f"{path.name} is left out: {error}")
    return found


def compare(
    records: Mapping[str, Record], twins: Mapping[str, Record], recipe: str, models: Path, *, changes: Iterable[str] = tuple(CHANGES)
) -> dict[str, Moved]:
    """Return what these changes, longer recordings and twins do to a champion's decisions, by name; nothing of what no recording fits."""
    names = list(records)
    before = answers(list(records.values()), recipe, models)
    changed: dict[str, tuple[list[Answer], list[Record]]] = {
        label: (before, [CHANGES[label](record) for record in records.values()]) for label in changes
    }
    if longer := [one for one in records.values() if one.duration_s >= LONG_S]:
        tens = answers([first(10)(one) for one in longer], recipe, models)
        changed["30 s beside its first 10 s"] = (tens, [first(LONG_S)(one) for one in longer])
    paired = [index for index, name in enumerate(names) if name in twins]
    if paired:
        changed[TWINS] = ([before[index] for index in paired], [twins[names[index]] for index in paired])
    return {label: difference(old, answers(new, recipe, models)) for label, (old, new) in changed.items()}


def main() -> None:
    """Print a table a recipe: one line a change."""
    parser = argparse.ArgumentParser(description="How much a decision hangs on the rate, the length and the filters of a recording.")
    parser.add_argument("folder", type=Path, help="WFDB recordings, such as those of PTB-XL at 500 Hz")
    parser.add_argument("--twins", type=Path, help="the same recordings at another rate, under the same numbers")
    parser.add_argument("--models", type=Path, default=SHIPPED_MODELS)
    parser.add_argument("--recipe", action="append", help="default: twelve_lead and heartbeat")
    parser.add_argument("--json", type=Path, help="keep the figures, for a program")
    arguments = parser.parse_args()
    records = read_folder(arguments.folder)
    twins = read_folder(arguments.twins) if arguments.twins else {}
    found: dict[str, dict[str, Moved]] = {}
    for recipe in arguments.recipe or (RecipeName.TWELVE_LEAD.value, RecipeName.HEARTBEAT.value):
        spec = shipped_classifier(recipe, arguments.models).spec
        if spec.recipe_digest != get_recipe(recipe).digest:
            parser.error(f"the {recipe} model reads other pictures than are made now")
        found[recipe] = compare(records, twins, recipe, arguments.models)
        print(f"\n{recipe} {spec.version}\n\n| change | recordings | not taken | median change of P | 95 % | equal decisions |")
        print("|---|---|---|---|---|---|")
        for label, one in found[recipe].items():
            print(f"| {label} | {one.n} | {one.n_not_taken} | {one.median:.4f} | {one.p95:.3f} | {one.equal:.1%} |", flush=True)
    if arguments.json:
        figures = {recipe: {label: asdict(one) for label, one in lines.items()} for recipe, lines in found.items()}
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
