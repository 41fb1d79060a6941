"""Here: how much sooner the reviewers' queue finds wrong labels than chance does. Not here: the queue (``queries.review_queue``).

``python -m research.wrong_labels FOLDER PICTURE.svg``: FOLDER is a labelled folder such as PTB-XL, and the shipped champion scores it.
Records of its training and validation splits are left out. A tenth of the other labels is turned, 500 times, and the queue is
followed to its end each time.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.evaluation.priority import centred, prioritise, uncertainty
from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.names import RecipeName
from ecg_tasks.reporting.svg import line, number, rect, text
from ecg_tasks.signals.recipes import get_recipe

RECIPE = RecipeName.TWELVE_LEAD.value
TURNED = 0.1
DRAWS = 500
SEED = 20261122
_STYLE = (
    "text{font:14px system-ui,-apple-system,'Segoe UI',Roboto,sans-serif;fill:#182131}.page{fill:#fff}.axis{fill:#566074}"
    ".grid{stroke:#e1e5ec}.queue{fill:none;stroke:#1b5aa6;stroke-width:3}.spread{fill:#1b5aa6;opacity:.15}"
    ".chance{stroke:#c08a1e;stroke-width:2;stroke-dasharray:7 4}"
    "@media (prefers-color-scheme:dark){text{fill:#e5e9f0}.page{fill:#171d26}.axis{fill:#a3adbe}.grid{stroke:#2a3340}"
    ".queue{stroke:#8bbcf5}.spread{fill:#8bbcf5}.chance{stroke:#f3cd7d}}"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ScoredRecording:
    """What a model says of n records: P(abnormal), quality and true label of each, and how it decides."""

    probability: NDArray[np.float64]
    quality: NDArray[np.float64]
    label: NDArray[np.int64]
    threshold: float
    abstain: tuple[float, float]


def found_curves(scored: ScoredRecording, *, turned: float = TURNED, draws: int = DRAWS, seed: int = SEED) -> NDArray[np.float64]:
    """Return the share of the wrong labels among the first records of the queue, shape (draws, n + 1), each draw with other labels turned.

    Column k is after k records. In random order the mean of column k is k / n.
    """
    rng = np.random.default_rng(seed)
    n = len(scored.label)
    n_wrong = max(1, round(turned * n))
    curves = np.zeros((draws, n + 1))
    uncertain = uncertainty(scored.probability, threshold=scored.threshold, abstain=scored.abstain)
    scores = centred(scored.probability, threshold=scored.threshold)[None]
    for draw in range(draws):
        wrong = rng.permutation(n) < n_wrong
        label = np.where(wrong, 1 - scored.label, scored.label)
        found = prioritise(scores=scores, uncertain=uncertain, quality=scored.quality, label=label, disputed=np.zeros(n, dtype=bool))
        curves[draw, 1:] = np.cumsum(wrong[np.argsort(-found.total, kind="stable")]) / n_wrong
    return curves


def score_folder(folder: Path) -> ScoredRecording:
    """Let the shipped champion score the records that its network was not fitted to."""
    from ecg_tasks.archive import registry
    from ecg_tasks.evaluation.splits import Split
    from ecg_tasks.learning.serving import Classifier
    from ecg_tasks.learning.version import TRAINING_RECORDS
    from ecg_tasks.offline.classify_file import read_path
    from ecg_tasks.offline.labelled_folders import open_folder
    from ecg_tasks.pipeline.champions.seed import SHIPPED_MODELS

    (champion,) = (one for one in registry.shipped_champions(SHIPPED_MODELS) if one.recipe == RECIPE)
    files = registry.read_shipped(SHIPPED_MODELS, champion)
    classifier, recipe = Classifier.from_files(files), get_recipe(RECIPE)
    if classifier.spec.recipe_digest != recipe.digest:
        sys.exit(f"the shipped {RECIPE} model reads other pictures than are made now")
    rows = [row.split(",") for row in files[TRAINING_RECORDS].decode().splitlines()[1:]]
    unseen = {record_id for record_id, split, _ in rows if split in (Split.CALIBRATION, Split.TEST)}
    labelled = open_folder(folder)
    records, labels = [], []
    for name, path in labelled.files.items():
        row = labelled.rows.get(name)
        if path is None or row is None or row.label not in CLASS_ORDER:
            continue
        (record,) = read_path(path, name=f"{name}.hea").records
        if record.record_id in unseen and recipe.accepts(record):
            records.append(record)
            labels.append(CLASS_ORDER.index(row.label))
    rendered = recipe.render(records)
    drawn = np.flatnonzero(rendered.window >= 0)
    scores = classifier.predict(recipe.decode([rendered.png[window] for window in drawn]))
    decided = classifier.decide(rendered.record[drawn], scores, rendered.quality[drawn], n_records=len(records))
    usable = ~np.isnan(decided.probability)
    total = np.bincount(rendered.record[drawn], weights=rendered.quality[drawn], minlength=len(records))
    return ScoredRecording(
        probability=decided.probability[usable],
        quality=(total / np.maximum(decided.n_windows, 1))[usable],
        label=np.array(labels)[usable],
        threshold=classifier.spec.threshold,
        abstain=classifier.spec.abstain,
    )


def draw_curves(curves: NDArray[np.float64]) -> bytes:
    """Return the mean of all draws, nine tenths of them as a band, and chance, as an SVG file."""
    left, top, size = 70.0, 24.0, 380.0
    n = curves.shape[1] - 1

    def points(values: NDArray[np.float64]) -> list[str]:
        return [f"{number(left + index / n * size)} {number(top + (1 - value) * size)}" for index, value in enumerate(values)]

    low, high = np.quantile(curves, (0.05, 0.95), axis=0)
    parts = [f"<style>{_STYLE}</style>", rect(0, 0, 500, 480, kind="page")]
    for mark in (0.0, 0.2, 0.4, 0.6, 0.8, 1.0):
        x, y = left + mark * size, top + (1 - mark) * size
        parts += [line(x, top, x, top + size, kind="grid"), line(left, y, left + size, y, kind="grid")]
        parts += [text(x, top + size + 22, f"{mark:.0%}", kind="axis", anchor="middle"), text(left - 8, y + 5, f"{mark:.0%}", anchor="end")]
    parts += [
        f'<path class="spread" d="M{"L".join([*points(low), *points(high)[::-1]])}Z"/>',
        line(left, top + size, left + size, top, kind="chance"),
        f'<path class="queue" d="M{"L".join(points(curves.mean(axis=0)))}"/>',
        text(left + size / 2, top + size + 48, "records looked at", kind="axis", anchor="middle"),
        text(20, top + size / 2, "wrong labels found", kind="axis", anchor="middle", turn=-90),
        text(left + 0.30 * size, top + 0.14 * size, "the queue"),
        text(left + 0.60 * size, top + 0.52 * size, "random order"),
    ]
    title = f"Share of wrong labels found against share of {n} records looked at, in the order of the queue and in random order"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 500 480" role="img" aria-label="{title}">'
    return f"{head}{''.join(parts)}</svg>\n".encode()


def main(folder: Path, picture: Path) -> None:
    """Run the experiment, draw it and print its figures."""
    scored = score_folder(folder)
    curves = found_curves(scored)
    picture.write_bytes(draw_curves(curves))
    n, area = len(scored.label), curves[:, 1:].mean(axis=1)
    half = np.array([np.argmax(curve >= 0.5) for curve in curves])
    figures = {
        "records": n,
        "abnormal": int(scored.label.sum()),
        "wrong_labels": round(TURNED * n),
        "draws": DRAWS,
        "area_mean": round(float(area.mean()), 3),
        "area_5_to_95": [round(float(value), 3) for value in np.quantile(area, (0.05, 0.95))],
        "area_random": 0.5,
        "found_after_a_tenth": round(float(curves[:, round(0.1 * n)].mean()), 3),
        "found_after_a_fifth": round(float(curves[:, round(0.2 * n)].mean()), 3),
        "records_for_half_median": float(np.median(half)),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
