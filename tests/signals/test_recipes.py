"""Recipes as a whole: records in, pictures out, the same whatever stands beside them."""

import copy
import functools
import re
from dataclasses import fields, is_dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from ecg_tasks.errors import ConfigurationError
from ecg_tasks.signals import recipes as module
from ecg_tasks.signals.flags import Flag
from ecg_tasks.signals.recipes import RECIPES, get_recipe, recipe_of
from ecg_tasks.signals.record import STANDARD_LEADS, Record

DATA = Path(__file__).parents[2] / "../shared/data"


def recording(*, seconds=10.0, fs=500.0, seed=0, beats=True):
    """Twelve leads in mV with a beat every 0.8 s and a little noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * fs)) / fs
    shape = np.exp(-((((t + 0.4) % 0.8 - 0.4) / 0.02) ** 2)) if beats else 0 * t
    samples = rng.uniform(0.5, 1.5, (12, 1)) * shape + 0.02 * rng.normal(size=(12, t.size)) * (t > 1)
    return Record(samples=samples.astype(np.float32), fs=fs, leads=STANDARD_LEADS, unit="mV", name=f"recording {seed}")


def heartbeat(seed=0):
    """A heartbeat row with padding."""
    rng = np.random.default_rng(seed)
    beat = 0.2 + 0.8 * np.exp(-((np.arange(187) / 4) ** 2)) + 0.02 * rng.uniform(size=187)
    beat[rng.integers(40, 187) :] = 0
    return Record(samples=beat[None].astype(np.float32), fs=125.0, leads=("II",), unit="relative", name=f"row {seed}")


def mixed(recipe):
    """Records of all sorts that the recipe takes, some alike in rate and length."""
    records = [
        recording(seed=1),
        heartbeat(1),
        recording(seed=2, fs=1000.0),
        recording(seed=3, seconds=31, fs=360.0),
        heartbeat(2),
        recording(seed=4),
        recording(seed=5, beats=False),
        recording(seed=6, fs=125.0),
        heartbeat(3),
    ]
    return [record for record in records if recipe.accepts(record)]


def parameters(value, path=()):
    """Path of every number, word and tuple in nested dataclasses."""
    for field in fields(value):
        inner = getattr(value, field.name)
        if is_dataclass(inner):
            yield from parameters(inner, (*path, field.name))
        else:
            yield (*path, field.name)


def test_there_are_four_recipes_under_their_names():
    """The names are stored in the bucket, so they never change."""
    assert set(RECIPES) == {"notebook", "heartbeat", "lead_samples", "twelve_lead"}
    assert all(get_recipe(name).name == name for name in RECIPES)


def test_an_unknown_recipe_is_refused():
    """The message names those there are."""
    with pytest.raises(ConfigurationError, match=r"no recipe 'ecg'; there are heartbeat, lead_samples, notebook, twelve_lead"):
        get_recipe("ecg")


def test_pictures_of_earlier_recipes_are_read_by_their_own_name_alone():
    """Those that are rendered no more, too; what is not known is refused, with what is made now."""
    for recipe in (*RECIPES.values(), *module._EARLIER):
        assert recipe_of(recipe.name, recipe.digest) is recipe
    earlier = module._EARLIER[0]
    assert (earlier.name, earlier.digest != get_recipe(earlier.name).digest) == ("twelve_lead", True)
    for name, digest in (("heartbeat", earlier.digest), ("twelve_lead", "0" * 12)):
        with pytest.raises(ConfigurationError, match=rf"pictures {name}@{digest} cannot be read; pictures made now are {name}@"):
            recipe_of(name, digest)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_the_parts_of_a_recipe_fit(recipe):
    """Windows and picture agree on the sampling rate, on the leads, and on how many samples there are to draw."""
    assert recipe.windowing.fs == recipe.picture.fs
    assert recipe.picture.n_samples <= recipe.windowing.n_samples
    assert getattr(recipe.picture, "leads", ("II",)) == recipe.windowing.leads
    assert re.fullmatch(rf"{recipe.name}@[0-9a-f]{{12}}", recipe.key)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_every_parameter_is_in_the_digest(recipe, monkeypatch):
    """Changing any number, word or tuple anywhere in a recipe changes its digest, and so does the rendering version."""
    seen = {recipe.digest}
    for *owners, name in parameters(recipe):
        changed = copy.deepcopy(replace(recipe))  # without the digest it remembers
        object.__setattr__(functools.reduce(getattr, owners, changed), name, "another")  # past the checks of the parameters
        seen.add(changed.digest)
    monkeypatch.setattr(module, "RENDERING_VERSION", module.RENDERING_VERSION + 1)
    seen.add(replace(recipe).digest)
    assert len(seen) == 2 + len(list(parameters(recipe)))


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_one_by_one_equals_the_batch_bit_for_bit(recipe):
    """A record's pictures, quality and flags do not depend on what stands beside it in the shard, nor on the order."""
    records = mixed(recipe)
    batch = recipe.render(records)
    backwards = recipe.render(records[::-1])
    assert (np.diff(batch.record) >= 0).all()
    assert set(batch.record.tolist()) == set(range(len(records)))
    for index, record in enumerate(records):
        alone = recipe.render([record])
        for rendered, at in ((batch, index), (backwards, len(records) - 1 - index)):
            rows = np.flatnonzero(rendered.record == at)
            assert [rendered.png[row] for row in rows] == alone.png
            assert [rendered.flags[row] for row in rows] == alone.flags
            assert np.array_equal(rendered.quality[rows], alone.quality)
            assert np.array_equal(rendered.window[rows], alone.window)
            assert np.array_equal(rendered.start_s[rows], alone.start_s)


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_rendered_rows_are_whole(recipe):
    """Each row has a picture of the right shape, a quality in [0, 1] and flags that are known, in the promised types."""
    rendered = recipe.render(mixed(recipe))
    n = len(rendered)
    has_picture = [bool(png) for png in rendered.png]
    assert len(rendered.png) == len(rendered.flags) == n
    assert (rendered.window >= 0).tolist() == has_picture
    assert recipe.decode([png for png in rendered.png if png]).shape == (sum(has_picture), *recipe.image_shape)
    assert [rendered.window.dtype, rendered.start_s.dtype, rendered.quality.dtype] == [np.int32, np.float32, np.float32]
    assert rendered.quality.min() >= 0
    assert rendered.quality.max() <= 1
    assert {flag for flags in rendered.flags for flag in flags.split(",") if flag} <= set(Flag)
    assert len(rendered.read) == n


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=list(RECIPES))
def test_an_empty_shard_gives_no_rows(recipe):
    """No records, no rows, no error."""
    rendered = recipe.render([])
    assert (len(rendered), rendered.png, rendered.flags) == (0, [], [])
    assert recipe.decode([]).shape == (0, *recipe.image_shape)


@pytest.mark.parametrize("name", ["heartbeat", "notebook"])
def test_a_recording_without_beats_has_one_row_that_says_so(name):
    """It is not lost: window -1, no picture, quality 0, flag ``no_beats``; its neighbours have theirs."""
    short = Record(samples=np.zeros((1, 125), np.float32), fs=125.0, leads=("II",), unit="mV", name="one second")
    rendered = get_recipe(name).render([heartbeat(), short, heartbeat(1)])
    assert rendered.record.tolist() == [0, 1, 2]
    assert rendered.window.tolist() == [0, -1, 0]
    assert "no_beats" in rendered.flags[1].split(",")
    assert rendered.read == ["", "none of 1 s", ""]
    assert rendered.quality[1] == 0
    assert [bool(png) for png in rendered.png] == [True, False, True]


def test_a_longer_recording_has_several_windows():
    """31 s give three windows of 10 s, in order."""
    rendered = get_recipe("twelve_lead").render([recording(seconds=31)])
    assert rendered.window.tolist() == [0, 1, 2]
    assert rendered.start_s.tolist() == [0, 10, 20]


@pytest.mark.skipif(not (DATA / "heartbeats").is_dir(), reason="no heartbeat rows in ../shared/data")
@pytest.mark.parametrize("name", ["heartbeat", "notebook"])
def test_real_heartbeat_rows_are_interpretable(name):
    """None of 120 rows of the heartbeat files is below the bound: hum that the models bear is no reason to refuse one."""
    rows = np.concatenate(
        [np.loadtxt(DATA / f"heartbeats/ptbdb_{each}.csv", delimiter=",", dtype=np.float32) for each in ("normal", "abnormal")]
    )
    records = [Record(samples=row[None, :187], fs=125.0, leads=("II",), unit="relative", name=f"row {at}") for at, row in enumerate(rows)]
    recipe = get_recipe(name)
    rendered = recipe.render(records)
    assert len(rendered) == 120
    assert (rendered.quality < recipe.min_quality).sum() == 0
