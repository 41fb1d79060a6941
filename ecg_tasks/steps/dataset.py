"""Here: which labelled records a training uses, on which side each stands, and their pictures. Not here: training (``retrain``)."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ecg_tasks.errors import NotEnoughDataError
from ecg_tasks.evaluation.splits import Side, side_of, split_bucket
from ecg_tasks.labels import CLASS_ORDER, Label
from ecg_tasks.signals.recipes import Recipe
from ecg_tasks.steps import render
from ecg_tasks.steps.labelling import REVIEW, labels_in_force
from ecg_tasks.steps.workspace import get_json, put_json
from ecg_tasks.storage import keys, record_shards, tables
from ecg_tasks.storage.object_store import ObjectStore

MIN_RECORDS_PER_CLASS = 2
"""On every side; a side with fewer of a class cannot do its work."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One labelled record of a dataset.

    ``group`` is what never lies on two sides: the keyed hash of the patient, or the record itself where no patient is known.
    ``bucket`` is the patient's place in every split, -1 where no patient is known.
    ``labelled_by`` is who gave the label: ``source:<file>`` or ``review:<user>``.
    """

    record_id: str
    shard: str
    group: str
    bucket: int
    side: Side
    label: str
    labelled_by: str = ""
    synthetic: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Windows of the records of one side, fit to be counted for a decision.

    ``images``: uint8, shape (n_windows, height, width, channels); ``record``: shape (n_windows,), index into ``rows``;
    ``quality``: shape (n_windows,); ``beat_s``: shape (n_records,), the length of each record's beats in s, nan where it is not known;
    ``mean_quality``: shape (n_records,), over all its windows, those that are not fit to be counted too.
    """

    rows: Sequence[Row]
    images: NDArray[np.uint8]
    record: NDArray[np.int64]
    quality: NDArray[np.float32]
    beat_s: NDArray[np.float32]
    mean_quality: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.uint8]:
        """0 normal or 1 abnormal, shape (n_records,)."""
        return np.array([CLASS_ORDER.index(Label(row.label)) for row in self.rows], dtype=np.uint8)

    @property
    def groups(self) -> list[str]:
        """The patient, or else the record, of each row."""
        return [row.group for row in self.rows]


def assemble(store: ObjectStore, recipe: Recipe) -> tuple[str, list[Row]]:
    """Choose the labelled records with usable pictures, give each its side, and write the dataset down.

    A patient's side comes from the patient's id alone and so never changes. A record without a known patient is only
    trained on, unless no patient is known at all; then the record is the unit of the split, and figures say so.

    Returns
    -------
    The dataset's id, made of its rows, and the rows.

    Raises
    ------
    NotEnoughDataError
        If a side lacks records of a class.
    """
    for shard in render.unrendered(store, recipe):
        render.render_one(store, shard, record_shards.load_shard(store.get(keys.record_shard(shard))), recipe)
    labels = {record_id: entry for record_id, entry in labels_in_force(store).items() if entry.label in CLASS_ORDER}
    found: list[tuple[str, str, str | None, int, bool]] = []
    inputs: Counter[str] = Counter()
    for shard in sorted(keys.stem(key) for key in store.list_keys(keys.RECORDS)):
        index = tables.load(store.get(keys.record_index(shard)))
        usable = _usable(store, recipe, shard)
        kinds = dict(zip(index["record_id"], input_kinds(index), strict=True))
        for record_id, patient, bucket, synthetic in zip(
            index["record_id"], index["patient"], index["split_bucket"], index["synthetic"], strict=True
        ):
            if record_id in labels and record_id in usable:
                found.append((record_id, shard, patient, int(bucket), bool(synthetic)))
                inputs[kinds[record_id]] += 1
    patients_known = any(patient for _, _, patient, _, _ in found)
    rows = []
    for record_id, shard, patient, bucket, synthetic in found:
        unknown_side = Side.TRAIN if patients_known else side_of(split_bucket(record_id))
        rows.append(
            Row(
                record_id=record_id,
                shard=shard,
                group=patient or record_id,
                bucket=bucket,
                side=side_of(bucket) if patient else unknown_side,
                label=labels[record_id].label,
                labelled_by=labels[record_id].who,
                synthetic=synthetic,
            )
        )
    rows.sort(key=lambda row: row.record_id)
    _check(rows)
    columns = {name: [getattr(row, name) for row in rows] for name in tables.SPLIT.names}
    data = tables.dump(tables.SPLIT, columns)
    dataset_id = hashlib.sha256(recipe.key.encode() + data).hexdigest()[:20]
    store.put(keys.dataset(dataset_id, "split.parquet"), data)
    put_json(
        store, keys.dataset(dataset_id, "manifest.json"), _manifest(dataset_id, recipe, rows) | {"inputs": dict(sorted(inputs.items()))}
    )
    return dataset_id, rows


def input_kinds(index: tables.Columns) -> list[str]:
    """What kind of recording each row of a record index is, as text: leads and rate; ``unknown`` in an index of before these were kept."""
    if "fs" not in index:
        return ["unknown"] * tables.n_rows(index)
    counts = zip(map(len, index["leads"]), index["fs"].tolist(), strict=True)
    return [f"{n_leads} {'lead' if n_leads == 1 else 'leads'}, {fs:g} Hz" for n_leads, fs in counts]


def load_rows(store: ObjectStore, dataset_id: str) -> list[Row]:
    """Rows of a dataset that was assembled before."""
    columns = tables.load(store.get(keys.dataset(dataset_id, "split.parquet")))
    rows = (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))
    return [Row(**(row | {"side": Side(row["side"]), "bucket": int(row["bucket"]), "synthetic": bool(row["synthetic"])})) for row in rows]


def load_manifest(store: ObjectStore, dataset_id: str) -> Any:
    """What the dataset was made of, as JSON."""
    return get_json(store, keys.dataset(dataset_id, "manifest.json"))


def load_pictures(store: ObjectStore, recipe: Recipe, rows: Sequence[Row]) -> Pictures:
    """Read the usable windows of these records, shard by shard."""
    place = {row.record_id: number for number, row in enumerate(rows)}
    images: list[NDArray[np.uint8]] = [np.zeros((0, *recipe.image_shape), np.uint8)]
    record: list[int] = []
    quality: list[float] = []
    beat_s, total, n_windows = np.full(len(rows), np.nan, np.float32), np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    for shard in sorted({row.shard for row in rows}):
        columns = tables.load(store.get(keys.spectrograms(recipe.key, shard)))
        drawn = [row for row, owner in enumerate(columns["record_id"]) if owner in place and columns["window"][row] >= 0]
        owners = [place[columns["record_id"][row]] for row in drawn]
        np.add.at(total, owners, columns["quality"][drawn])
        np.add.at(n_windows, owners, 1)
        wanted = [row for row in drawn if columns["quality"][row] >= recipe.min_quality]
        images.append(recipe.decode([columns["png"][row] for row in wanted]))
        record += [place[columns["record_id"][row]] for row in wanted]
        quality += [float(columns["quality"][row]) for row in wanted]
        if "beat_s" in columns:
            beat_s[owners] = columns["beat_s"][drawn]
    return Pictures(
        rows=rows,
        images=np.concatenate(images),
        record=np.array(record, np.int64),
        quality=np.array(quality, np.float32),
        beat_s=beat_s,
        mean_quality=(total / np.maximum(n_windows, 1)).astype(np.float32),
    )


def _usable(store: ObjectStore, recipe: Recipe, shard: str) -> set[str]:
    columns = tables.load(store.get(keys.spectrograms(recipe.key, shard)), ["record_id", "window", "quality"])
    good = (columns["window"] >= 0) & (columns["quality"] >= recipe.min_quality)
    return {columns["record_id"][row] for row in np.flatnonzero(good)}


def _check(rows: Sequence[Row]) -> None:
    """Refuse a split in which a side lacks a class, or a group stands on two sides."""
    sides: dict[str, Side] = {}
    for row in rows:
        if sides.setdefault(row.group, row.side) != row.side:
            raise AssertionError(f"{row.group} stands on two sides of the split: {sides[row.group]} and {row.side}")
    for side in Side:
        for label in CLASS_ORDER:
            n_records = sum(row.side == side and row.label == label for row in rows)
            if n_records < MIN_RECORDS_PER_CLASS:
                raise NotEnoughDataError(
                    f"the {side.value} side has {n_records} {label.value} records; it needs at least {MIN_RECORDS_PER_CLASS}. "
                    f"There are {len(rows)} labelled records in all: label more, of more patients"
                )


def _manifest(dataset_id: str, recipe: Recipe, rows: Sequence[Row]) -> dict[str, Any]:
    return {
        "dataset_id": dataset_id,
        "recipe": recipe.key,
        "split_unit": "patient" if any(row.bucket >= 0 for row in rows) else "record",
        "shards": sorted({row.shard for row in rows}),
        "synthetic_records": sum(row.synthetic for row in rows),
        "labelled_by": dict(sorted(Counter(row.labelled_by if row.labelled_by.startswith(REVIEW) else "source" for row in rows).items())),
        "counts": dict(_counts(rows)),
    }


def _counts(rows: Sequence[Row]) -> Iterator[tuple[str, dict[str, int]]]:
    for side in Side:
        on_side = [row for row in rows if row.side == side]
        by_label = {label.value: sum(row.label == label for row in on_side) for label in CLASS_ORDER}
        yield side.value, {"records": len(on_side), "groups": len({row.group for row in on_side}), **by_label}
