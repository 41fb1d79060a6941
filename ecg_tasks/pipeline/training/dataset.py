"""Here: which labelled records a training uses, in which split each is, and their pictures. Not here: training (``retrain_model``)."""

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from msgspec import structs
from numpy.typing import NDArray

from ecg_tasks.archive import keys, record_shards, tables
from ecg_tasks.archive.class_lists import KnownClasses, classes_in_force, stored_classes
from ecg_tasks.archive.descriptions import Descriptions, persons_of
from ecg_tasks.archive.documents import DatasetManifest, SplitCounts, find, read, write
from ecg_tasks.archive.labelling import REVIEW, in_force, stored_labels
from ecg_tasks.archive.object_store import ObjectStore
from ecg_tasks.errors import NotEnoughDataError
from ecg_tasks.evaluation.splits import LEARNT_FOLDS, Split, split_of
from ecg_tasks.labels import CLASS_ORDER, Label, in_order
from ecg_tasks.learning.dataset import NOT_KNOWN, rotating_folds
from ecg_tasks.pipeline import render_spectrograms
from ecg_tasks.pipeline.training import grouping, leakage
from ecg_tasks.pipeline.training.classes import TRAINED_ON, class_names
from ecg_tasks.signals.near_duplicates import Links, find_links
from ecg_tasks.signals.recipes import Recipe

MIN_RECORDS_PER_CLASS = 2
"""In every split; one with fewer records of a class is of no use."""
DECODED_AT_ONCE = 256
"""Pictures."""
_FIELD_OF = {"bucket": "patient_bucket", "place": "split_bucket", "side": "split"}
"""Columns of ``split.parquet`` that have an older name than their field."""
_TYPES: dict[str, Callable[[Any], Any]] = {"patient_bucket": int, "split_bucket": int, "split": Split, "synthetic": bool}


@dataclass(frozen=True, kw_only=True)
class DatasetRow:
    """One labelled record of a dataset.

    ``group`` is never in two splits. It is the keyed hash of the patient; where no patient is known, it is a record that stands for all
    that resemble it. ``patient_bucket`` is the patient's split bucket, -1 where no patient is known. ``split_bucket`` is the group's, and
    decides the split and on whom each member of an ensemble is stopped. ``label`` is empty where only classes are known. ``labelled_by``
    is who gave the label: ``source:<file>`` or ``review:<user>``. ``public_patient`` is the digest of a public patient's collection and id.
    ``has`` and ``lacks`` name the classes of the dataset that it has and has not, with blanks between; of the others it is not known.
    """

    record_id: str
    shard: str
    group: str
    patient_bucket: int
    split_bucket: int
    split: Split
    label: str
    labelled_by: str = ""
    synthetic: bool
    public_patient: str | None = None
    has: str = ""
    lacks: str = ""

    @property
    def patient(self) -> str | None:
        """The keyed hash of the patient; None where no patient is known."""
        return self.group if self.patient_bucket >= 0 else None


@dataclass(frozen=True, kw_only=True, eq=False)
class Pictures:
    """Windows of the records of one split whose quality is good enough to decide by.

    ``images``: uint8, shape (n_windows, height, width, channels); ``record``: shape (n_windows,), index into ``rows``;
    ``quality``: shape (n_windows,); ``beat_s``: shape (n_records,), the length of each record's beats in s, nan where it is not known;
    ``mean_quality``: shape (n_records,), over all its windows, those of too poor a quality included.
    """

    rows: Sequence[DatasetRow]
    images: NDArray[np.uint8]
    record: NDArray[np.int64]
    quality: NDArray[np.float32]
    beat_s: NDArray[np.float32]
    mean_quality: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.uint8]:
        """Return what `labels_of` says of the rows."""
        return labels_of(self.rows)

    @property
    def groups(self) -> list[str]:
        """Return the patient of each row, or the record where the patient is not known."""
        return [row.group for row in self.rows]


def assemble(store: ObjectStore, recipe: Recipe) -> tuple[str, list[DatasetRow]]:
    """Choose the labelled records with usable pictures, give each its split, and store the dataset.

    A patient's split comes from the fold that the collection gives, and from the patient's id, alone. Where a patient is not known, the
    record's group of near-duplicates decides, and keeps its split for ever (``grouping``). If any patient is known, figures are computed
    over patients. Records without a patient are then used in the training split only, and those of the other splits are left out.
    Synthetic recordings are used only while the archive holds no real one: a dataset never mixes the two (``champions.synthetic``).
    A record without a label is in it only to be trained on, and only where it teaches a class: figures are of records that have a label.

    Returns
    -------
    The dataset's id, made of its rows, and the rows.

    Raises
    ------
    LeakageError
        If test data is found in training data.
    NotEnoughDataError
        If a split has too few records of a class.
    """
    for shard in render_spectrograms.unrendered(store, recipe):
        render_spectrograms.render_one(store, shard, record_shards.load_shard(store.get(keys.record_shard(shard))), recipe)
    said = list(stored_labels(store))
    labels = {record_id: entry for record_id, entry in in_force(said).items() if entry.label in CLASS_ORDER}
    classes = classes_in_force(stored_classes(store), labels=said)
    found: list[grouping.RecordOrigin] = []
    labelled_shards: list[str] = []
    is_synthetic: dict[str, bool] = {}
    kind_of: dict[str, str] = {}
    folds: dict[str, int] = {}
    late = Descriptions.read(store)
    for shard in sorted(keys.stem(key) for key in store.list_keys(keys.RECORDS)):
        index = late.index(tables.load(store.get(keys.record_index(shard))))
        if not labels.keys().isdisjoint(index["record_id"]):
            labelled_shards.append(shard)
        usable = _usable(store, recipe, shard)
        kind_of |= zip(index["record_id"], input_kinds(index), strict=True)
        is_synthetic |= zip(index["record_id"], map(bool, index["synthetic"]), strict=True)
        origins = [grouping.RecordOrigin.of(record_id, shard, person) for record_id, person in persons_of(index).items()]
        folds |= {one.patient: one.fold for one in origins if one.patient is not None and one.fold is not None}
        found += [one for one in origins if one.record_id in usable and (one.record_id in labels or one.record_id in classes)]
    found = [replace(one, fold=folds.get(one.patient or "")) if one.fold is None else one for one in found]
    n_found = len(found)
    if not all(is_synthetic.values()):
        found = [one for one in found if not is_synthetic[one.record_id]]
        labels = {record_id: entry for record_id, entry in labels.items() if not is_synthetic.get(record_id, False)}
    leakage.check_identities(found)
    leakage.check_signals(store, labelled_shards, {record_id: entry.label for record_id, entry in labels.items()}, recipe.accepts)
    found.sort(key=lambda one: one.record_id)
    groups = grouping.groups_of(store, found)
    rows: list[DatasetRow] = []
    for one in found:
        group = groups.get(one.record_id) or grouping.RecordGroup(name=one.patient or one.record_id, split_bucket=one.place)
        if group.split_bucket == grouping.BETWEEN:
            continue
        split = split_of(group.split_bucket)
        if one.record_id not in labels and split not in TRAINED_ON:
            continue
        rows.append(
            DatasetRow(
                record_id=one.record_id,
                shard=one.shard,
                group=group.name,
                patient_bucket=one.patient_bucket,
                split_bucket=group.split_bucket,
                split=split,
                label=labels[one.record_id].label if one.record_id in labels else "",
                labelled_by=labels[one.record_id].who if one.record_id in labels else classes[one.record_id].who,
                synthetic=is_synthetic[one.record_id],
                public_patient=one.public_patient,
            )
        )
    rows, links = _untangled(store, _comparable(rows))
    leakage.check_rows(rows, links)
    rows = _teaching(rows, classes)
    _check(rows, n_synthetic=n_found - len(found), n_folds=sum(one.fold is not None for one in found))
    inputs = Counter(kind_of[row.record_id] for row in rows)
    return _stored(store, recipe, rows, inputs=inputs, left_out=n_found - len(rows)), rows


def input_kinds(index: tables.Columns) -> list[str]:
    """Return the kind of recording of each row of a record index, as text: leads and rate; ``unknown`` in an old index without them."""
    if "fs" not in index:
        return ["unknown"] * tables.n_rows(index)
    counts = zip(map(len, index["leads"]), index["fs"].tolist(), strict=True)
    return [f"{n_leads} {'lead' if n_leads == 1 else 'leads'}, {fs:g} Hz" for n_leads, fs in counts]


def load_rows(store: ObjectStore, dataset_id: str) -> list[DatasetRow]:
    """Read the rows of a dataset that was assembled before."""
    columns = tables.load(store.get(keys.dataset(dataset_id, "split.parquet")))
    fields = [_FIELD_OF.get(name, name) for name in columns]
    return [
        DatasetRow(**{field: _TYPES[field](value) if field in _TYPES else value for field, value in zip(fields, values, strict=True)})
        for values in zip(*columns.values(), strict=True)
    ]


def on_splits(rows: Sequence[DatasetRow], *splits: Split) -> list[DatasetRow]:
    """Return the rows of these splits."""
    return [row for row in rows if row.split in splits]


def labels_of(rows: Sequence[DatasetRow]) -> NDArray[np.uint8]:
    """Return 0 for normal, 1 for abnormal and ``NOT_KNOWN`` where only classes are known, shape (n_records,)."""
    return np.array([CLASS_ORDER.index(Label(row.label)) if row.label else NOT_KNOWN for row in rows], dtype=np.uint8)


def learnt_from(rows: Sequence[DatasetRow]) -> list[DatasetRow]:
    """Return the rows that a network is trained and stopped on."""
    return on_splits(rows, Split.TRAIN, Split.VALIDATION)


def folds_of(learnt: Sequence[DatasetRow], *, ensemble_size: int) -> list[NDArray[np.bool_]]:
    """Return which of these records each member is stopped on: groups stay together, as in the split itself.

    A patient may have two split buckets, one of before buckets were keyed: the smaller one counts for all records.
    """
    bucket_of: dict[str, int] = {}
    for row in learnt:
        bucket_of[row.group] = min(row.split_bucket, bucket_of.get(row.group, row.split_bucket))
    buckets = np.array([bucket_of[row.group] for row in learnt])
    held_out = np.array([row.split == Split.VALIDATION for row in learnt])
    return rotating_folds(labels_of(learnt), buckets, ensemble_size=ensemble_size, held_out=held_out)


def load_manifest(store: ObjectStore, dataset_id: str) -> DatasetManifest:
    """Read what the dataset was made of."""
    return read(store, DatasetManifest, keys.dataset(dataset_id, "manifest.json"))


def load_pictures(store: ObjectStore, recipe: Recipe, rows: Sequence[DatasetRow]) -> Pictures:
    """Read the usable windows of these records, shard by shard."""
    position = {row.record_id: number for number, row in enumerate(rows)}
    pngs: list[bytes] = []
    record: list[int] = []
    quality: list[float] = []
    beat_s, total, n_windows = np.full(len(rows), np.nan, np.float32), np.zeros(len(rows)), np.zeros(len(rows), np.int64)
    for shard in sorted({row.shard for row in rows}):
        columns = tables.load(store.get(keys.spectrograms(recipe.key, shard)))
        drawn = [row for row, owner in enumerate(columns["record_id"]) if owner in position and columns["window"][row] >= 0]
        owners = [position[columns["record_id"][row]] for row in drawn]
        np.add.at(total, owners, columns["quality"][drawn])
        np.add.at(n_windows, owners, 1)
        wanted = [row for row in drawn if columns["quality"][row] >= recipe.min_quality]
        pngs += [columns["png"][row] for row in wanted]
        record += [position[columns["record_id"][row]] for row in wanted]
        quality += [float(columns["quality"][row]) for row in wanted]
        if "beat_s" in columns:
            beat_s[owners] = columns["beat_s"][drawn]
    images = np.empty((len(pngs), *recipe.image_shape), np.uint8)  # filled in parts: all pictures of the notebook twice are gigabytes
    for start in range(0, len(pngs), DECODED_AT_ONCE):
        images[start : start + DECODED_AT_ONCE] = recipe.decode(pngs[start : start + DECODED_AT_ONCE])
    return Pictures(
        rows=rows,
        images=images,
        record=np.array(record, np.int64),
        quality=np.array(quality, np.float32),
        beat_s=beat_s,
        mean_quality=(total / np.maximum(n_windows, 1)).astype(np.float32),
    )


def _usable(store: ObjectStore, recipe: Recipe, shard: str) -> set[str]:
    columns = tables.load(store.get(keys.spectrograms(recipe.key, shard)), ["record_id", "window", "quality"])
    good = (columns["window"] >= 0) & (columns["quality"] >= recipe.min_quality)
    return {columns["record_id"][row] for row in np.flatnonzero(good)}


def _teaching(rows: list[DatasetRow], classes: Mapping[str, KnownClasses]) -> list[DatasetRow]:
    """Return the rows with what is known of the classes that there are enough of, less those that teach nothing."""

    def told(row: DatasetRow, known: KnownClasses | None, names: AbstractSet[str] | None = None) -> DatasetRow:
        if known is None:
            return row
        has, lacks = (one if names is None else one & names for one in (known.has, known.lacks))
        return replace(row, has=" ".join(in_order(has)), lacks=" ".join(in_order(lacks)))

    names = frozenset(class_names([told(row, classes.get(row.record_id)) for row in rows]))
    taught = [told(row, classes.get(row.record_id), names) for row in rows]
    return [row for row in taught if row.label or row.has or row.lacks]


def _comparable(rows: list[DatasetRow]) -> list[DatasetRow]:
    """Return the rows of known patients, and of the others those to train on; all rows where no patient is known."""
    if not any(row.patient_bucket >= 0 for row in rows):
        return rows
    return [row for row in rows if row.patient_bucket >= 0 or row.split is Split.TRAIN]


def _untangled(store: ObjectStore, rows: list[DatasetRow]) -> tuple[list[DatasetRow], Links]:
    """Leave out rows of unknown patients that resemble a row of another split; return the others, and the links across splits of these.

    Of two such rows the one in the split that comes first is left out: the test split stays as it is.
    """
    known = [
        grouping.RecordOrigin(record_id=row.record_id, shard=row.shard, patient=None, patient_bucket=row.patient_bucket) for row in rows
    ]
    order = list(Split)
    links = find_links(grouping.load_signatures(store, known), splits=np.array([order.index(row.split) for row in rows], dtype=np.int64))
    kept = np.ones(len(rows), dtype=bool)
    for pair in zip(links.first.tolist(), links.second.tolist(), strict=True):
        unknown = [index for index in pair if rows[index].patient_bucket < 0]
        if unknown and rows[pair[0]].split is not rows[pair[1]].split:
            kept[min(unknown, key=lambda index: order.index(rows[index].split))] = False
    position = np.cumsum(kept) - 1
    both = kept[links.first] & kept[links.second]
    left = Links(first=position[links.first[both]], second=position[links.second[both]], same=links.same[both])
    return [row for row, stays in zip(rows, kept, strict=True) if stays], left


def _check(rows: Sequence[DatasetRow], *, n_synthetic: int, n_folds: int) -> None:
    """Refuse splits that lack a class."""
    for split in Split:
        for label in CLASS_ORDER:
            n_records = sum(row.split == split and row.label == label for row in rows)
            if n_records < MIN_RECORDS_PER_CLASS:
                left_out = f"; {n_synthetic} synthetic ones are left out, because the archive holds real recordings" if n_synthetic else ""
                if n_folds:
                    left_out += f"; {n_folds} have a fold: 1 to {LEARNT_FOLDS} are never tested on, all others are only tested on"
                raise NotEnoughDataError(
                    f"the {split.value} split has {n_records} {label.value} records; it needs at least {MIN_RECORDS_PER_CLASS}. "
                    f"There are {len(rows)} labelled records in all{left_out}: label more, of more patients"
                )


def _stored(store: ObjectStore, recipe: Recipe, rows: Sequence[DatasetRow], *, inputs: dict[str, int], left_out: int) -> str:
    """Write a data set; returns its id, made of its rows."""
    schema = tables.split_with(public=any(row.public_patient for row in rows), classes=any(row.has or row.lacks for row in rows))
    data = tables.dump(schema, {name: [getattr(row, _FIELD_OF.get(name, name)) for row in rows] for name in schema.names})
    dataset_id = hashlib.sha256(recipe.key.encode() + data).hexdigest()[:20]
    split_key, manifest_key = (keys.dataset(dataset_id, name) for name in ("split.parquet", "manifest.json"))
    before = find(store, DatasetManifest, manifest_key)
    if before is not None and before.forgotten:  # all that was forgotten of it is back, so its bytes are those of before
        store.replace(split_key, data)
        whole = structs.replace(before, shards=_shards(rows), forgotten=())
        store.replace(manifest_key, whole.to_json(), content_type="application/json")
    store.put(split_key, data)
    if before is None:  # else a version that was trained on these rows holds its digest
        write(store, manifest_key, _manifest(dataset_id, recipe, rows, inputs=inputs, left_out=left_out))
    return dataset_id


def _manifest(dataset_id: str, recipe: Recipe, rows: Sequence[DatasetRow], *, inputs: dict[str, int], left_out: int) -> DatasetManifest:
    return DatasetManifest(
        dataset_id=dataset_id,
        recipe=recipe.key,
        split_unit="patient" if any(row.patient_bucket >= 0 for row in rows) else "record",
        shards=_shards(rows),
        synthetic_records=sum(row.synthetic for row in rows),
        labelled_by=Counter(row.labelled_by if row.labelled_by.startswith(REVIEW) else "source" for row in rows),
        counts={split.value: _counts([row for row in rows if row.split == split]) for split in Split},
        inputs=inputs,
        left_out=left_out,
    )


def _shards(rows: Sequence[DatasetRow]) -> tuple[str, ...]:
    """Return the shards that hold these records."""
    return tuple(sorted({row.shard for row in rows}))


def _counts(rows: Sequence[DatasetRow]) -> SplitCounts:
    by_label = Counter(row.label for row in rows)
    return SplitCounts(
        records=len(rows),
        groups=len({row.group for row in rows}),
        normal=by_label[Label.NORMAL],
        abnormal=by_label[Label.ABNORMAL],
        classes=dict(Counter(name for row in rows for name in row.has.split())),
    )
