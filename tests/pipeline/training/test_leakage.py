"""The guard: each kind of leak, planted in a bucket, fails the assembly of a dataset; and groups of unknown patients keep their splits."""

import hashlib
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from ecg_tasks.archive import keys, record_shards
from ecg_tasks.archive.labelling import LabelEntry, write_labels
from ecg_tasks.archive.record_shards import StoredRecord
from ecg_tasks.errors import LeakageError, NotEnoughDataError
from ecg_tasks.evaluation.splits import Split, split_bucket, split_of
from ecg_tasks.labels import CLASS_ORDER
from ecg_tasks.pipeline import forget_patient, retrain_model
from ecg_tasks.pipeline.training import dataset, grouping, leakage
from ecg_tasks.signals.heartbeats import LENIENT_R_THRESHOLDS, cut_beats
from ecg_tasks.signals.near_duplicates import OVERLAP
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.record import HEARTBEAT_FS, STANDARD_LEADS, Record
from ecg_tasks.signals.synthesis import draw_heart, synthesize

N_PEOPLE = 120
PLACES = {split: next(bucket for bucket in range(0, 10_000, 50) if split_of(bucket) is split) for split in Split}
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy keyword:DeprecationWarning")


def _beats(number):
    """Four beats in a row of one imaginary person, normal and abnormal in turn; None where some follow too late to overlap."""
    rng = np.random.default_rng(number)
    heart = draw_heart(rng, label=CLASS_ORDER[number % 2])
    lead = synthesize(heart, fs=HEARTBEAT_FS, duration_s=10.0, rng=rng)[STANDARD_LEADS.index("II")]
    found = cut_beats(lead, fs=HEARTBEAT_FS, r_thresholds=LENIENT_R_THRESHOLDS)
    shared = found.n_samples[:3] - np.diff(found.r_peaks_s[:4]) * HEARTBEAT_FS if len(found.samples) > 3 else [0]
    return found.samples[:4] if min(shared) >= OVERLAP else None


@cache
def _everybody():
    """Return the beats of all imaginary persons; made when the first test asks, and not in every process that only collects tests."""
    return [beats for number in range(4 * N_PEOPLE) if (beats := _beats(number)) is not None]


def _row(beat, name="row"):
    return Record(samples=np.ascontiguousarray(beat[None], np.float32), fs=HEARTBEAT_FS, leads=("II",), unit="relative", name=name)


def _stored(beat, patient=None, bucket=-1, **more):
    return StoredRecord(record=_row(beat), source="00", patient=patient, split_bucket=bucket, **more)


def _archive(store, shard, labels):
    """Put records with their labels (0, 1 or None) into the bucket as one shard, as ``ingest_records`` would."""
    name = record_shards.shard_name([*(one.record.record_id for one in shard), str(len(shard))])
    store.put(keys.record_index(name), record_shards.dump_index(shard))
    store.put(keys.record_shard(name), record_shards.dump_shard(shard))
    entries = [
        LabelEntry(record_id=one.record.record_id, label=CLASS_ORDER[label].value, who="source:test", when="2026-01-01")
        for one, label in zip(shard, labels, strict=True)
        if label is not None
    ]
    write_labels(store, entries)


def _people(change=lambda _number, beat: beat):
    """One beat of each of many people, spread over all splits, and their labels."""
    shard = [
        _stored(change(number, _everybody()[number][0]), f"patient {number}", number * 10_000 // N_PEOPLE) for number in range(N_PEOPLE)
    ]
    return shard, [number % 2 for number in range(N_PEOPLE)]


def _assemble(run="r"):
    return retrain_model.assemble_dataset(run, recipe="heartbeat", epochs=1, seed=0)


def test_a_clean_archive_passes(bucket):
    """Different people in different splits are no leak."""
    _archive(bucket, *_people())
    assert _assemble()


def test_a_shared_patient_is_refused(bucket):
    """A patient whose recordings have buckets in two splits fails the assembly, named."""
    shard, labels = _people()
    intruder = _stored(_everybody()[N_PEOPLE][0], "patient 0", PLACES[Split.TEST])
    _archive(bucket, [*shard, intruder], [*labels, 0])
    with pytest.raises(LeakageError, match=r"shared patient: patient 0 has recordings in two splits, train .* and test"):
        _assemble()


def test_a_shared_record_is_refused(bucket):
    """The same record in two shards, of patients in two splits, fails the assembly, named."""
    shard, labels = _people()
    _archive(bucket, shard, labels)
    again = _stored(_everybody()[0][0], "another patient", PLACES[Split.TEST])
    _archive(bucket, [again], [labels[0]])
    with pytest.raises(LeakageError, match=f"shared record: {again.record.record_id} is in two shards"):
        _assemble()


@pytest.mark.parametrize("kind", ["noisy copy", "next beat"])
def test_a_near_duplicate_of_another_patient_is_refused(bucket, kind):
    """A copy with a little noise, and the next beat of the same signal, under another patient's id in another split, fail the assembly."""
    shard, labels = _people()
    noise = np.random.default_rng(0).normal(0, 0.0005, 187)
    planted = _everybody()[0][0] + noise * (_everybody()[0][0] != 0) if kind == "noisy copy" else _everybody()[0][1]
    other = _stored(planted, "another patient", PLACES[Split.TEST])
    _archive(bucket, [*shard, other], [*labels, labels[0]])
    with pytest.raises(LeakageError, match="near-duplicates across splits: .*" + other.record.record_id):
        _assemble()


@pytest.mark.parametrize("column", [-1, 60])
@pytest.mark.parametrize("values", [(0.0, 1.0), (0.25, 0.75)])
def test_a_label_inside_the_signal_is_refused(bucket, column, values):
    """Records that carry their label as a sample, the last or any other, as it is or scaled, fail the assembly, with the sample's place."""

    def with_label(number, beat):
        beat = beat.copy()
        beat[column] = values[number % 2]
        return beat

    _archive(bucket, *_people(with_label))
    with pytest.raises(LeakageError, match=f"label inside the signal: sample {187 if column < 0 else 61} of 187"):
        _assemble()


def test_a_failed_guard_leaves_no_dataset(bucket):
    """Nothing that could be trained on is written."""
    shard, labels = _people()
    _archive(bucket, [*shard, _stored(_everybody()[0][1], "another patient", PLACES[Split.TEST])], [*labels, labels[0]])
    with pytest.raises(LeakageError):
        _assemble()
    assert bucket.list_keys(keys.DATASETS) == []


def _splits(store):
    return {row.record_id: (row.group, row.split) for row in dataset.assemble(store, get_recipe("heartbeat"))[1]}


def _unknown(people, beats=slice(0, 3)):
    """Beats of people whose ids nobody knows, and their labels."""
    found = [(number, beat) for number in people for beat in _everybody()[number][beats]]
    return [_stored(beat) for _, beat in found], [number % 2 for number, _ in found]


def test_beats_of_one_recording_stay_together(bucket):
    """Without patients, consecutive beats of a recording are in one split, and every group takes its bucket from its smallest record."""
    people = range(N_PEOPLE)
    shard, labels = _unknown(people)
    _archive(bucket, shard, labels)
    splits = _splits(bucket)
    groups: dict[str, list[str]] = {}
    for record_id, (group, split) in splits.items():
        groups.setdefault(group, []).append(record_id)
        assert split is split_of(split_bucket(group))
    assert all(group == min(members) for group, members in groups.items())
    ids = [one.record.record_id for one in shard]
    whole = [len({splits[one] for one in ids[start : start + 3] if one in splits}) == 1 for start in range(0, len(ids), 3)]
    assert all(whole)


def test_sides_stay_when_data_is_added(bucket):
    """More beats of the same people, and more people, move nobody: each joins the group of what it resembles, or goes unused."""
    _archive(bucket, *_unknown(range(N_PEOPLE), slice(0, 2)))
    before = _splits(bucket)
    tables = len(bucket.list_keys(keys.GROUPS))
    _archive(bucket, *_unknown(range(N_PEOPLE), slice(2, 4)))
    _archive(bucket, *_unknown(range(N_PEOPLE, N_PEOPLE + 20)))
    after = _splits(bucket)
    kept = before.keys() & after.keys()
    assert len(kept) > 0.95 * len(before)
    assert {one: before[one] for one in kept} == {one: after[one] for one in kept}
    assert len(bucket.list_keys(keys.GROUPS)) == tables + 1
    assert _splits(bucket) == after
    assert len(bucket.list_keys(keys.GROUPS)) == tables + 1


def _chain():
    """Three consecutive beats of one person: the first and the last have nothing in common but the one between."""
    for beats in _everybody():
        shard = [_stored(beat) for beat in beats[:3]]
        known = grouping.near_duplicates.signatures([one.record for one in shard])
        links = grouping.near_duplicates.find_links(known)
        if set(zip(links.first.tolist(), links.second.tolist(), strict=True)) == {(0, 1), (1, 2)}:
            yield shard


def test_a_record_between_two_sides_is_used_on_neither(bucket):
    """If what arrives joins two groups that were in two splits, these stay, and the new record is left out, for ever."""
    for shard in _chain():
        first, between, last = shard
        ends = [grouping.RecordOrigin(record_id=one.record.record_id, shard="", patient=None, patient_bucket=-1) for one in (first, last)]
        if split_of(split_bucket(ends[0].record_id)) is not split_of(split_bucket(ends[1].record_id)):
            break
    else:
        pytest.fail("no chain of three beats has its ends in two splits")
    _archive(bucket, *_unknown(range(N_PEOPLE, N_PEOPLE + 80)))
    _archive(bucket, [first, last], [0, 0])
    before = _splits(bucket)
    _archive(bucket, [between], [0])
    after = _splits(bucket)
    assert between.record.record_id not in after
    assert {one.record_id: after[one.record_id] for one in ends} == {one.record_id: before[one.record_id] for one in ends}
    assert grouping.read_groups(bucket)[between.record.record_id].split_bucket == grouping.BETWEEN


def test_unknown_patients_are_only_trained_on_while_any_is_known(bucket):
    """Beside known patients, beats of unknown ones are used in the training split alone, and none that resembles a tested patient's."""
    shard, labels = _people()
    unknown, their_labels = _unknown(range(N_PEOPLE, N_PEOPLE + 30))
    tested = [number for number, one in enumerate(shard) if split_of(one.split_bucket) is Split.TEST]
    resembling = [_stored(_everybody()[number][1]) for number in tested]
    _archive(bucket, [*shard, *unknown, *resembling], [*labels, *their_labels, *[labels[number] for number in tested]])
    rows = dataset.assemble(bucket, get_recipe("heartbeat"))[1]
    assert {row.split for row in rows if row.patient_bucket < 0} == {Split.TRAIN}
    assert not {one.record.record_id for one in resembling} & {row.record_id for row in rows if row.split is Split.TRAIN}
    assert {row.split for row in rows if row.patient_bucket >= 0} == set(Split)


def test_signatures_are_made_once(bucket):
    """What a shard's records are compared by is kept, and equals what would be made anew."""
    _archive(bucket, *_people())
    _assemble()
    before = {item.key: item.modified for item in bucket.list_objects(keys.SIGNATURES)}
    assert len(before) == 1
    digest = hashlib.sha256(bucket.get(next(iter(before)))).hexdigest()
    _assemble("again")
    assert {item.key: item.modified for item in bucket.list_objects(keys.SIGNATURES)} == before
    bucket.delete(next(iter(before)))
    _assemble("anew")
    assert hashlib.sha256(bucket.get(next(iter(before)))).hexdigest() == digest


def test_a_column_that_differs_by_chance_is_no_label():
    """With few records of a length, agreeing samples prove nothing; nor does padding, which is the same in all."""
    few = [leakage._Range(), leakage._Range()]
    for value, one in enumerate(few):
        for _ in range(leakage.LEAST_PER_CLASS - 1):
            one.add(np.full((1, 5), value, np.float32))
    assert leakage._telling(few).size == 0
    padded = [leakage._Range(), leakage._Range()]
    rng = np.random.default_rng(0)
    for one in padded:
        for _ in range(50):
            one.add(np.append(rng.random(5), np.zeros(3)).astype(np.float32)[None])
    assert leakage._telling(padded).size == 0


def _folded(fold_of):
    """The people of `_people` with folds and public names, and their labels."""
    shard, labels = _people()
    return [replace(one, fold=fold_of(number), public_patient=f"public {number}") for number, one in enumerate(shard)], labels


def test_a_fold_decides_the_split_whatever_the_bucket(bucket):
    """Of ten folds the first eight are learnt from and the last two tested on; whom these let be stays where the bucket says."""
    shard, labels = _folded(lambda number: number // 2 % 10 + 1)
    _archive(bucket, shard, labels)
    rows = {row.record_id: row for row in dataset.assemble(bucket, get_recipe("heartbeat"))[1]}
    assert len(rows) == N_PEOPLE
    for one in shard:
        row = rows[one.record.record_id]
        assert (row.split is Split.TEST) == (one.fold > 8)
        assert (row.patient_bucket, row.patient, row.public_patient) == (one.split_bucket, one.patient, one.public_patient)
        assert split_of(row.split_bucket) is row.split
        if (split_of(one.split_bucket) is Split.TEST) == (one.fold > 8):
            assert row.split_bucket == one.split_bucket
    dataset_id = dataset.assemble(bucket, get_recipe("heartbeat"))[0]
    assert {row.record_id: row for row in dataset.load_rows(bucket, dataset_id)} == rows


def test_a_fold_is_the_patients_and_not_the_records(bucket):
    """A second recording without one goes where the first goes, also where only a record without a label has it."""
    shard, labels = _people()
    place = next(number for number, one in enumerate(shard) if split_of(one.split_bucket) is Split.TRAIN)
    patient, own = shard[place].patient, shard[place].split_bucket
    _archive(bucket, shard, labels)
    unlabelled = _stored(_everybody()[N_PEOPLE + 1][0], patient, own, fold=10)
    name = record_shards.shard_name([unlabelled.record.record_id])
    bucket.put(keys.record_index(name), record_shards.dump_index([unlabelled]))
    bucket.put(keys.record_shard(name), record_shards.dump_shard([unlabelled]))
    rows = {row.record_id: row for row in dataset.assemble(bucket, get_recipe("heartbeat"))[1]}
    assert rows[shard[place].record.record_id].split is Split.TEST
    assert unlabelled.record.record_id not in rows


def test_a_patient_in_two_folds_is_refused(bucket):
    """Named with both records, whatever let them in."""
    shard, labels = _folded(lambda number: number % 10 + 1)
    other = _stored(_everybody()[N_PEOPLE + 1][0], shard[0].patient, shard[0].split_bucket, fold=9)
    _archive(bucket, [*shard, other], [*labels, 0])
    with pytest.raises(LeakageError, match=f"is in two folds, .*{other.record.record_id}"):
        _assemble()


def test_a_fold_decides_the_split_of_records_without_a_patient(bucket):
    """Of a whole group of records that resemble one another, also of those that have none."""
    shard, labels = [], []
    for number in range(2 * N_PEOPLE):
        fold = 9 if number // 2 % 5 == 0 else 1
        shard += [_stored(beat, fold=None if place == 1 else fold) for place, beat in enumerate(_everybody()[number][:2])]
        labels += [number % 2] * 2
    wanted = {one.record.record_id: 9 if number // 4 % 5 == 0 else 1 for number, one in enumerate(shard)}
    _archive(bucket, shard, labels)
    rows = dataset.assemble(bucket, get_recipe("heartbeat"))[1]
    assert len(rows) > 0.9 * len(shard)
    assert {row.record_id: row.split is Split.TEST for row in rows} == {row.record_id: wanted[row.record_id] > 8 for row in rows}


def test_a_fold_makes_no_second_group_of_what_is_alike(bucket):
    """A beat that resembles one of before joins its group, also where a fold lets it be in that split by itself."""
    before = [_stored(beats[0]) for beats in _everybody()[:N_PEOPLE]]
    later = [_stored(beats[1], fold=1) for beats in _everybody()[:N_PEOPLE]]
    _archive(bucket, before, [number % 2 for number in range(N_PEOPLE)])
    _splits(bucket)
    _archive(bucket, later, [number % 2 for number in range(N_PEOPLE)])
    _splits(bucket)
    groups = grouping.read_groups(bucket)
    pairs = [(groups[one.record.record_id], groups[other.record.record_id]) for one, other in zip(before, later, strict=True)]
    kept = [(one, other) for one, other in pairs if other.split_bucket != grouping.BETWEEN]
    assert len(kept) > N_PEOPLE / 4
    assert all(one == other for one, other in kept)


def test_folds_that_leave_a_split_empty_are_named(bucket):
    """A table of one's own five folds has nobody to test on."""
    _archive(bucket, *_folded(lambda number: number % 5 + 1))
    with pytest.raises(NotEnoughDataError, match=f"the test split has 0 normal .*; {N_PEOPLE} have a fold: 1 to 8 are never tested on"):
        _assemble()


def test_members_keep_a_patient_together_whatever_the_buckets():
    """A patient with a bucket of before buckets were keyed, and a keyed one, is never trained on by a member that is stopped on them."""
    learnt = [
        dataset.DatasetRow(
            record_id=f"{patient} {keyed}",
            shard="s",
            group=f"patient {patient}",
            patient_bucket=100 * patient + keyed,
            split_bucket=100 * patient + patient // 2 % 4 + keyed,
            split=Split.TRAIN,
            label=CLASS_ORDER[patient % 2].value,
            synthetic=False,
        )
        for patient in range(40)
        for keyed in (0, 1)
    ]
    folds = dataset.folds_of(learnt, ensemble_size=2)
    assert len(folds) == 2
    for stopped_on in folds:
        held_out = {row.group for row, held in zip(learnt, stopped_on, strict=True) if held}
        assert held_out
        assert held_out.isdisjoint(row.group for row, held in zip(learnt, stopped_on, strict=True) if not held)


def test_what_is_allowed_again_makes_the_same_data_set(bucket):
    """A recording that was forgotten, allowed again and dropped again brings back the data set of before, byte by byte."""
    shard, labels = _people()
    alone = [_stored(_everybody()[N_PEOPLE][0], "one more patient", PLACES[Split.TRAIN])]
    _archive(bucket, shard, labels)
    _archive(bucket, alone, [0])
    _assemble("before")
    before = {key: bucket.get(key) for key in bucket.list_keys(keys.DATASETS)}
    meant = forget_patient.find_meant(bucket, record=alone[0].record.record_id)
    token = forget_patient.ask(bucket, meant, who="dpo", why="she asked for it")
    forget_patient.carry_out("f", token)
    assert {key: bucket.get(key) for key in before} != before
    forget_patient.allow_again(bucket, who="dpo", why="she came back", token=token)
    _archive(bucket, alone, [0])
    _assemble("again")
    assert {key: bucket.get(key) for key in bucket.list_keys(keys.DATASETS)} == before
