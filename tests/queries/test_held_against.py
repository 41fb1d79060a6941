"""Labels that came later are held against what the probabilities let expect: of strangers only, one a patient, by each record's rule."""

from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.archive import catalog, descriptions, keys, tables
from ecg_tasks.archive.descriptions import Person
from ecg_tasks.learning.decisions import SiteRule
from ecg_tasks.learning.version import SPEC, TRAINING_PATIENTS, TRAINING_RECORDS, ModelSpec, TrainingPatient, training_patients_csv
from ecg_tasks.queries.held_against import MIN_LABELS, held_against

N = MIN_LABELS + 2
P = np.linspace(0.05, 0.95, N)
"""Of each record; every second one is abnormal."""


@pytest.fixture
def labelled(archive):
    """Function that puts labelled records and decisions of a version into the bucket, with what is said of each; returns the archive."""

    def put(n: int = N, *, trained: tuple[TrainingPatient, ...] = (), late: dict[int, Person] | None = None, **said):
        archive.put_model("heartbeat")
        archive.store.put(keys.model_file("heartbeat", "v1", TRAINING_RECORDS), b"record_id,side,bucket\n")
        archive.store.put(keys.model_file("heartbeat", "v1", TRAINING_PATIENTS), training_patients_csv(trained))
        ids = archive.ids(n)
        archive.put_shard("s", ids, P[:n])
        index = keys.record_index("s")
        archive.store.replace(index, tables.dump(tables.RECORD_INDEX, tables.load(archive.store.get(index)) | said))
        archive.put_labels({one: "abnormal" if place % 2 else "normal" for place, one in enumerate(ids)})
        if late:
            descriptions.write(archive.store, {ids[place]: person for place, person in late.items()}, number=2)
        catalog.rebuild(archive.store)
        return archive.store

    return put


def test_it_is_held_against_as_many_patients_as_are_asked_for(labelled):
    """Not only against more."""
    assert held_against(labelled(MIN_LABELS), "heartbeat").n_records == MIN_LABELS


def test_it_is_not_held_against_fewer(labelled):
    """One patient less is too few."""
    assert held_against(labelled(MIN_LABELS - 1), "heartbeat") is None


def test_a_public_patient_of_the_training_is_left_out(labelled):
    """The version was trained elsewhere, so that only the collection's own name tells who it is."""
    seen = TrainingPatient("there", "another key", "public", -1)
    store = labelled(trained=(seen,), patient=["here"] + [None] * (N - 1), public_patient=["public"] + [None] * (N - 1))
    assert held_against(store, "heartbeat").n_records == N - 1


def test_patients_that_became_known_later_count_once(labelled):
    """The index of the records still knows nobody."""
    store = labelled(late={0: Person("p", 7), 1: Person("p", 7)})
    assert held_against(store, "heartbeat").n_records == N - 1


def test_each_record_is_called_by_the_rule_of_its_site(labelled):
    """The first record is of a site where all are called abnormal; what counts is not its threshold for all others."""
    store = labelled(site=["north"] + [None] * (N - 1))
    key = keys.model_file("heartbeat", "v1", SPEC)
    rule = SiteRule(site="north", temperature=1.0, bias=0.0, threshold=0.0, abstain=(0.0, 0.0))
    store.replace(key, replace(ModelSpec.from_json(store.get(key)), sites=(rule,)).to_json())
    called = P >= 0.5
    called[0] = True
    truth = np.arange(N) % 2 == 1
    assert held_against(store, "heartbeat").figures["accuracy"].measured.value == pytest.approx((called == truth).mean())
