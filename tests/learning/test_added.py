"""What is stated of somebody else's network, and what comes of it: what it reads of our pictures, what its answers mean."""

import numpy as np
import pytest

from ecg_tasks.errors import ModelRefusedError
from ecg_tasks.learning.added import MAX_DESCRIPTION_BYTES, Adapter, Description
from ecg_tasks.signals.recipes import get_recipe
from ecg_tasks.signals.record import STANDARD_LEADS, Record
from ecg_tasks.signals.rendering import LeadSamples
from tests.added_networks import described

SHAPE = (4, 5, 2)


def stated(**more):
    """A description by TOML."""
    return Description.from_toml(described(more.pop("reads", "heartbeat@0"), values=more.pop("values", "probability"), **more))


def adapter(found, shape, *, dtype=np.float32, n_values=3, image_shape=SHAPE):
    """The adapter of a network of this shape."""
    return Adapter(found, image_shape=image_shape, shape=shape, dtype=np.dtype(dtype), n_values=n_values)


def test_a_description_is_kept_whole():
    """What ``model.json`` holds is read back as it was."""
    found = stated(more='[input]\nlayout = ["channels", "height", "width"]\nscale = 0.5', abnormal=2, classes="{ STTC = 1, MI = 0 }")
    assert Description.from_plain(found.as_dict()) == found
    assert (found.recipe, found.class_names, found.output.abnormal) == ("heartbeat", ("MI", "STTC"), 2)
    assert found.credit == "Their network: https://example.org/network (MIT)"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ((b"licence", b"license"), "unknown field `license`"),
        ((b'licence = "MIT"', b""), "missing required field `licence`"),
        ((b'"MIT"', b'""'), "licence must be one line of text"),
        ((b"Their network", b"Their `network`"), "name must be"),
        ((b"heartbeat@0", b"heartbeat"), "it must be <recipe>@<digest>"),
        ((b"abnormal = 0", b""), "either abnormal or normal"),
        ((b"abnormal = 0", b"abnormal = 0\nnormal = 1"), "either abnormal or normal"),
        ((b"abnormal = 0", b"abnormal = -1"), "an index of output is negative"),
        ((b"abnormal = 0", b'abnormal = "0"'), "Expected `int"),
        ((b"abnormal = 0", b"abnormal = 0\nclasses = { MI = 1, CD = 1 }"), "two classes of output have the same index"),
        ((b"abnormal = 0", b'abnormal = 0\nclasses = { "a b" = 1 }'), "'a b' is not a name of a class"),
        ((b'"probability"', b'"odds"'), "Invalid enum value 'odds'"),
        ((b"[output]", b"[input]\nscale = inf\n[output]"), "scale must be a number above 0"),
        ((b"[output]", b"[input]\nfs = 400\n[output]"), "leads, fs and unit are of samples alone"),
        ((b"[output]", b'[input]\nleads = ["I"]\n[output]'), "leads, fs and unit are of samples"),
        ((b"[output]", b'[input]\nunit = "uV"\n[output]'), "leads, fs and unit are of samples"),
        ((b"[output]", b"[output"), "is no TOML"),
        ((b"[output]", b"\xff[output]"), "is no TOML"),
        ((b"MIT", b"M" * MAX_DESCRIPTION_BYTES), "are enough"),
    ],
)
def test_a_description_that_says_anything_else_is_refused(change, reason):
    """A field that is misspelt would say something that is not done."""
    with pytest.raises(ModelRefusedError) as refused:
        Description.from_toml(described("heartbeat@0", values="probability").replace(*change))
    assert reason in str(refused.value)


def test_pictures_are_laid_out_and_scaled_as_the_network_reads_them():
    """Axes in any order, and numbers from 0 to 1 where it wants those."""
    images = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    read = adapter(stated(more='[input]\nlayout = ["channels", "height", "width"]\nscale = 0.5'), (2, 4, None)).read(images)
    assert (read.dtype, read.shape) == (np.float32, (3, 2, 4, 5))
    assert np.array_equal(read, images.transpose(0, 3, 1, 2) * np.float32(0.5))
    assert np.array_equal(adapter(stated(), SHAPE, dtype=np.uint8).read(images), images)


@pytest.mark.parametrize(
    ("more", "shape", "dtype", "reason"),
    [
        ("", (4, 5), np.float32, "the network reads 4 × 5; by its description it is 4 × 5 × 2"),
        ("", (4, 5, 3), np.float32, "the network reads 4 × 5 × 3"),
        ("", SHAPE, np.int32, "the network reads int32"),
        ("[input]\nscale = 0.5", SHAPE, np.uint8, "cannot be scaled"),
        ('[input]\nlayout = ["leads", "time"]', SHAPE, np.float32, "the layout is leads, time"),
    ],
)
def test_a_network_that_reads_something_else_is_refused(more, shape, dtype, reason):
    """Its file says what it reads."""
    with pytest.raises(ModelRefusedError, match=reason):
        adapter(stated(more=more), shape, dtype=dtype)


def test_an_answer_that_is_not_there_is_refused():
    """Its file says how many numbers it gives."""
    with pytest.raises(ModelRefusedError, match="the network gives 3 numbers; the description names number 3"):
        adapter(stated(abnormal=3), SHAPE)


def test_answers_become_probabilities():
    """By themselves, of log-odds, or of all numbers together; of normal, the rest is abnormal; classes follow in our order."""
    values = np.array([[0.25, 0.5, 0.1]])
    columns = {"abnormal": 0, "classes": "{ STTC = 1, MI = 2 }"}
    assert np.allclose(adapter(stated(**columns), SHAPE).probabilities(values), [[0.25, 0.1, 0.5]])
    assert np.allclose(adapter(stated(normal=0), SHAPE).probabilities(values), [[0.75]])
    both = adapter(stated(normal=0, classes="{ MI = 2, NORM = 0 }"), SHAPE)
    assert np.allclose(both.probabilities(values), [[0.75, 0.25, 0.1]])
    odds = np.log(values / (1 - values))
    assert np.allclose(adapter(stated(values="log-odds", **columns), SHAPE).probabilities(odds), [[0.25, 0.1, 0.5]])
    together = adapter(stated(values="softmax", normal=1), SHAPE).probabilities(np.log([[1.0, 2.0, 5.0]]) + 900)
    assert np.allclose(together, [[0.75]])
    assert np.isnan(adapter(stated(values="softmax"), SHAPE).probabilities(values * np.nan)).all()


def _samples(**stated_input):
    more = "[input]\n" + "\n".join(f"{name} = {value}" for name, value in stated_input.items())
    return stated(reads="lead_samples@0", more=more)


@pytest.fixture(scope="module")
def recording():
    """Ten seconds of twelve leads in which lead n has sine waves of n + 1 Hz, with the recipe's picture of it."""
    t = np.arange(5000) / 500
    samples = np.array([0.1 * (lead + 1) * np.sin(2 * np.pi * (lead + 1) * t) for lead in range(12)], np.float32)
    record = Record(samples=samples, fs=500.0, leads=STANDARD_LEADS, unit="mV", name="waves")
    recipe = get_recipe("lead_samples")
    windows = recipe.windows([record])
    return windows.samples[0], recipe.decode(recipe.picture.encode(windows))


def test_samples_come_back_from_their_picture(recording):
    """To half a microvolt; what is beyond the largest value is cut off there, and nothing wraps round."""
    samples, images = recording
    picture = LeadSamples()
    assert images.shape == (1, 1, 5000, 24)
    assert np.abs(picture.samples(images)[0] - samples).max() <= 0.000501

    class Windows:
        def __init__(self, values):
            self.samples = np.asarray(values, np.float32).reshape(1, 12, 5000)

    far = picture.samples(picture.decode(picture.encode(Windows(np.resize([-1000.0, -32.767, 0.0, 32.767, 1000.0], 60000)))))
    assert np.allclose(np.unique(far), [-32.767, 0, 32.767], atol=1e-5)


def test_a_network_reads_samples_at_its_own_rate(recording):
    """Leads, rate, unit and layout are its own: lead V1 has seven waves a second whatever the rate."""
    samples, images = recording
    read = adapter(_samples(fs=250, leads='["v1", "II"]', unit='"uV"', layout='["time", "leads"]'), (2500, 2), image_shape=(1, 5000, 24))
    values = read.read(images)
    assert values.shape == (1, 2500, 2)
    t = np.arange(2500) / 250
    inner = slice(100, -100)
    assert np.abs(values[0, inner, 0] - 700 * np.sin(2 * np.pi * 7 * t[inner])).max() < 5
    assert np.abs(values[0, inner, 1] - 200 * np.sin(2 * np.pi * 2 * t[inner])).max() < 5
    del samples


def test_a_network_of_other_lengths_reads_the_middle_or_zeros_around(recording):
    """Eight seconds are the middle eight; around ten are as many zeros on either side."""
    samples, images = recording
    shorter = adapter(_samples(fs=500), (12, 4000), image_shape=(1, 5000, 24)).read(images)
    assert np.abs(shorter[0] - samples[:, 500:4500]).max() <= 0.000501
    longer = adapter(_samples(fs=500), (12, 5120), image_shape=(1, 5000, 24)).read(images)
    assert np.abs(longer[0, :, 60:-60] - samples).max() <= 0.000501
    assert (longer[0, :, :60] == 0).all()
    assert (longer[0, :, -60:] == 0).all()
    odd = adapter(_samples(fs=500), (12, 5003), image_shape=(1, 5000, 24)).read(images)
    assert np.abs(odd[0, :, 1:-2] - samples).max() <= 0.000501
    assert not odd[0, :, [0, -2, -1]].any()
    assert adapter(_samples(fs=400), (12, None), image_shape=(1, 5000, 24)).read(images).shape == (1, 12, 4000)


@pytest.mark.parametrize(
    ("given", "shape", "reason"),
    [
        ({"fs": 0}, (12, 5000), "fs is 0 Hz"),
        ({"fs": 49.9}, (12, 499), "fs is 49.9 Hz; it must be from 50 to 1000"),
        ({"fs": 1000.5}, (12, 10005), "fs is 1000.5 Hz"),
        ({"fs": 500}, (12, 10001), "the network reads 20.002 s"),
        ({"fs": 500, "leads": '["X"]'}, (1, 5000), "X is none of the leads"),
        ({"fs": 500}, (12, 500), "the network reads 1 s; it must be from 5 to 20"),
        ({"fs": 500}, (8, 5000), "the network reads 8 × 5000; by its description it is 12 × 5000"),
        ({"fs": 500}, (1, 12, 5000), "the network reads 1 × 12 × 5000"),
    ],
)
def test_a_network_of_other_samples_is_refused(given, shape, reason):
    """What cannot be made of a recording of ten seconds with twelve leads."""
    with pytest.raises(ModelRefusedError, match=reason):
        adapter(_samples(**given), shape, image_shape=(1, 5000, 24))
