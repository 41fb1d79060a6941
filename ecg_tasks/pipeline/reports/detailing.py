"""Here: what the page of one record in a report shows: signal, pictures, and what the answer is based on. Not here: for which records."""

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.archive import keys, record_shards, tables
from ecg_tasks.archive.descriptions import Descriptions
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.learning.serving import Classifier
from ecg_tasks.pipeline.reports.explaining import explain_record
from ecg_tasks.report_columns import Row
from ecg_tasks.reporting.model import RecordDetail, SpectrogramView
from ecg_tasks.reporting.spectrogram import views_of_picture
from ecg_tasks.signals.recipes import Recipe, recipe_of

BEATS_SHOWN = 6
EXPLAINED = 50
"""Pages, the uncertain and most abnormal first, that show what the answer is based on: 0.1 to 1 s each, by the size of the model."""


def record_details(
    store: ObjectStore,
    rows: Mapping[str, Sequence[Row]],
    *,
    late: Descriptions,
    explained: AbstractSet[str],
    classifiers: Mapping[str, Classifier],
) -> Iterator[RecordDetail]:
    """Gather records with their signals and pictures, shard by shard, so that memory holds one shard.

    Parameters
    ----------
    rows : for each shard, the rows of its records
    late : what became known of the patients since
    explained : ids of the records that also get what their answer is based on
    classifiers : of each recipe
    """
    recipes = {name: recipe_of(name, one.spec.recipe_digest) for name, one in classifiers.items()}
    for shard, chosen in rows.items():
        for detail in _details_of_shard(store, shard, chosen, late=late, recipes=recipes):
            if detail.record.record_id not in explained:
                yield detail
            else:
                yield replace(detail, attribution=explain_record(classifiers[detail.row["recipe"]], detail.record))


def _details_of_shard(
    store: ObjectStore, shard: str, rows: Sequence[Row], *, late: Descriptions, recipes: Mapping[str, Recipe]
) -> Iterator[RecordDetail]:
    wanted = {row["record_id"] for row in rows}
    stored = record_shards.load_shard(store.get(keys.record_shard(shard)), only=wanted)
    records = {one.record.record_id: late.stored(one).record for one in stored}
    pictures: dict[str, tables.Columns] = {}
    for row in rows:
        recipe, record_id = row["recipe"], row["record_id"]
        if recipe not in pictures:
            pictures[recipe] = tables.load(store.get(keys.spectrograms(recipes[recipe].key, shard)))
        views = _views(pictures[recipe], recipes[recipe], record_id)
        yield RecordDetail(record=records[record_id], row=row, spectrograms=views)


def _views(pictures: tables.Columns, recipe: Recipe, record_id: str) -> list[SpectrogramView]:
    rows = [row for row, owner in enumerate(pictures["record_id"]) if owner == record_id and pictures["window"][row] >= 0]
    return shown_views(pictures, recipe, rows)[1]


def shown_views(pictures: tables.Columns, recipe: Recipe, rows: Sequence[int]) -> tuple[NDArray[np.uint8], list[SpectrogramView]]:
    """Return what the network saw of a record: the leads of its first window, or its first beats; no view of samples.

    Parameters
    ----------
    pictures : a shard's pictures
    recipe : what made them
    rows : those of the record, at least one

    Returns
    -------
    (images, views) : the decoded pictures, shape (n, height, width, channels), and how they are shown
    """
    axes = recipe.axes()
    shown = rows[: BEATS_SHOWN if axes is not None and len(axes.channels) == 1 else 1]
    images = recipe.decode([pictures["png"][row] for row in shown])
    return images, [
        view
        for row, image in zip(shown, images, strict=True)
        if axes is not None
        for view in views_of_picture(image, axes=axes, title=f"from {pictures['start_s'][row]:.2f} s")
    ]
