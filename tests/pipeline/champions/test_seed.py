"""Shipped champions: into a fresh bucket, out of one, and never over what serves."""

import json

import pytest

from ecg_tasks.archive import registry
from ecg_tasks.errors import ConfigurationError
from ecg_tasks.pipeline.champions import seed
from ecg_tasks.queries import models

FILES = {"model.tflite": b"weights", "card.md": b"# card", registry.SUMS: b"aa  model.tflite\nbb  card.md\n"}


def test_out_of_one_bucket_into_another(bucket, tmp_path):
    """A champion that is exported is installed where nothing serves yet, with all its files."""
    registry.write_version(bucket, "heartbeat", "v1", FILES)
    registry.write_champion(bucket, recipe="heartbeat", version="v1", since="2026-01-01", who="me", why="first")
    assert models.export_champion(bucket, "heartbeat", tmp_path) == tmp_path / "heartbeat" / "v1"
    bucket.delete_many(bucket.list_keys("models/"))
    assert seed.install_champions(tmp_path) == ["heartbeat"]
    assert registry.read_version(bucket, "heartbeat", "v1") == FILES
    assert registry.read_champion(bucket, "heartbeat").why == "first"


def test_a_champion_that_serves_is_left_alone(bucket, tmp_path):
    """Installing again, or over a promoted version, changes nothing."""
    registry.write_version(bucket, "heartbeat", "v1", FILES)
    registry.write_champion(bucket, recipe="heartbeat", version="v1", since="2026-01-01", who="me", why="first")
    models.export_champion(bucket, "heartbeat", tmp_path)
    registry.write_champion(bucket, recipe="heartbeat", version="v2", since="2026-02-01", who="me", why="better")
    assert seed.install_champions(tmp_path) == []
    assert registry.read_champion(bucket, "heartbeat").version == "v2"


def test_a_champion_of_pictures_made_no_more_makes_way(bucket):
    """After an upgrade that draws other pictures the shipped version serves; the other is kept in its history, and one start is enough."""
    (shipped,) = (one for one in registry.shipped_champions(seed.SHIPPED_MODELS) if one.recipe == "twelve_lead")
    files = registry.read_shipped(seed.SHIPPED_MODELS, shipped)
    older = json.loads(files["model.json"]) | {"recipe_digest": "059025766e34", "version": "aaaa00000001"}
    registry.write_version(bucket, "twelve_lead", "aaaa00000001", files | {"model.json": json.dumps(older).encode()})
    registry.write_champion(bucket, recipe="twelve_lead", version="aaaa00000001", since="2026-01-01", who="me", why="first")
    assert seed.install_champions() == ["heartbeat", "twelve_lead"]
    champion = registry.read_champion(bucket, "twelve_lead")
    assert (champion.version, champion.why) == (shipped.version, "aaaa00000001 reads pictures that are made no more")
    assert [one.version for one in champion.history] == ["aaaa00000001"]
    assert seed.install_champions() == []


def test_a_shipped_version_that_was_rejected_replaces_nothing(bucket):
    """Whoever rejected it does not get it by an upgrade."""
    (shipped,) = (one for one in registry.shipped_champions(seed.SHIPPED_MODELS) if one.recipe == "twelve_lead")
    files = registry.read_shipped(seed.SHIPPED_MODELS, shipped)
    older = json.loads(files["model.json"]) | {"recipe_digest": "059025766e34", "version": "aaaa00000001"}
    registry.write_version(bucket, "twelve_lead", "aaaa00000001", files | {"model.json": json.dumps(older).encode()})
    registry.write_champion(bucket, recipe="twelve_lead", version="aaaa00000001", since="2026-01-01", who="me", why="first")
    registry.reject(bucket, recipe="twelve_lead", version=shipped.version, when="2026-01-02", who="me", why="worse here")
    assert seed.install_champions() == ["heartbeat"]
    assert registry.read_champion(bucket, "twelve_lead").version == "aaaa00000001"


def test_nothing_to_export_is_said(bucket, tmp_path):
    """Without a champion the error names the recipe."""
    assert bucket.list_keys("models/") == []
    with pytest.raises(ConfigurationError, match="no notebook model"):
        models.export_champion(bucket, "notebook", tmp_path)
