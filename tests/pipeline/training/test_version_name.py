"""A version's name: it changes with the network and with Keras, and with nothing that leaves both as they are."""

import json

import pytest

from ecg_tasks.learning import aligned
from ecg_tasks.learning.framework import import_keras
from ecg_tasks.pipeline import retrain_model
from ecg_tasks.pipeline.training import dataset


@pytest.fixture
def named(bucket, monkeypatch):
    """Name of the version that a run would train, on one and the same data set."""
    monkeypatch.setattr(dataset, "assemble", lambda *_: ("d" * 20, []))

    def name_of(run):
        return json.loads(bucket.get(retrain_model.assemble_dataset(run, recipe="twelve_lead", epochs=1, seed=0)))["version"]

    return name_of


def test_an_edited_network_is_a_new_version(named, monkeypatch):
    """Other filters under the same name of a network, and then the same again: a new name, and the first one."""
    before = named("before")
    with monkeypatch.context() as patch:
        patch.setattr(aligned, "FILTERS", 65)
        assert named("edited") != before
    assert named("edited back") == before


def test_another_keras_is_a_new_version(named, monkeypatch):
    """Another version of Keras may train other weights from the same data: it gives a new name."""
    before = named("before")
    monkeypatch.setattr(import_keras(), "__version__", "99.0")
    assert named("after") != before
