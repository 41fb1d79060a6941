"""Serving: without TensorFlow, the same score in any company, and no version that is not what it says."""

import logging
import os
import subprocess
import sys
import textwrap
from dataclasses import replace

import numpy as np
import pytest

from ecg_tasks.errors import ModelRefusedError, SignalError
from ecg_tasks.labels import Decision
from ecg_tasks.learning import runtimes, version
from ecg_tasks.learning.serving import MAX_BATCH, Classifier
from ecg_tasks.learning.version import Golden, checksums


@pytest.fixture(scope="module")
def classifier(files):
    """The shared version at work."""
    return Classifier.from_files(files)


def _resealed(files, **changed):
    """The files with some exchanged and the checksums made anew, as a mistake in our own code would leave them."""
    new = {name: content for name, content in (files | changed).items() if name != version.SUMS}
    return new | {version.SUMS: checksums(new)}


def test_serving_needs_no_tensorflow(files, tmp_path):
    """A fresh process loads a version and classifies with neither TensorFlow nor Keras imported."""
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    program = textwrap.dedent("""
        import pathlib, sys
        import numpy as np
        from ecg_tasks.learning.serving import Classifier
        classifier = Classifier.from_files({path.name: path.read_bytes() for path in pathlib.Path(sys.argv[1]).iterdir()})
        classifier.predict(np.zeros((1, *classifier.spec.image_shape), np.uint8))
        print(sorted({"tensorflow", "keras", "jax", "torch", "pandas", "matplotlib"} & sys.modules.keys()))
    """)
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""  # in a task's log, every line there is an error


def test_notices_are_logged_and_faults_go_on(capfd, caplog):
    """What LiteRT says by the way is for the log of who asks; anything else that a library writes stays where it was written."""
    caplog.set_level(logging.DEBUG, logger=runtimes.__name__)
    with runtimes._notices_logged():
        os.write(2, b"INFO: Created a delegate.\nERROR: it burns\n")
    assert capfd.readouterr().err == "ERROR: it burns\n"
    assert "LiteRT: Created a delegate." in caplog.messages


@pytest.mark.parametrize("n", [1, MAX_BATCH - 1, MAX_BATCH, 2 * MAX_BATCH + 3])
def test_a_score_does_not_depend_on_the_company(classifier, n):
    """To the last bit: alone, in another place, and among other windows, a window has the same score."""
    rng = np.random.default_rng(n)
    images = rng.integers(0, 256, (n, *classifier.spec.image_shape), dtype=np.uint8)
    scores = classifier.predict(images)
    order = rng.permutation(n)
    assert np.array_equal(classifier.predict(images[order]), scores[order])
    assert np.array_equal(np.concatenate([classifier.predict(image[None]) for image in images]), scores)


def test_threads_do_not_change_a_score(classifier, files):
    """Two threads give the same bits as one."""
    images = np.random.default_rng(0).integers(0, 256, (50, *classifier.spec.image_shape), dtype=np.uint8)
    assert np.array_equal(Classifier.from_files(files, n_threads=2).predict(images), classifier.predict(images))


def test_no_windows_no_scores(classifier):
    """An empty shard is no special case for the caller."""
    assert classifier.predict(np.zeros((0, *classifier.spec.image_shape), np.uint8)).shape == (0,)


def test_it_decides_by_its_own_rule(classifier):
    """Temperature 1.5, abstain from 0.4 to 0.6, quality from 0.3 on: as the specification says."""
    found = classifier.decide(np.array([0, 1, 2]), np.array([0.9, 0.5, 0.9]), np.array([1, 1, 0.1]), n_records=3)
    assert found.probability[0] == pytest.approx(1 / (1 + 9 ** (-1 / 1.5)))
    assert found.decision == [Decision.ABNORMAL, Decision.UNCERTAIN, Decision.UNINTERPRETABLE]


def test_other_pictures_are_refused(classifier):
    """Pictures of another shape or type are a fault of the caller."""
    with pytest.raises(SignalError, match=r"\(2, 8, 8, 1\)"):
        classifier.predict(np.zeros((2, 8, 8, 1), np.uint8))
    with pytest.raises(SignalError, match="float32"):
        classifier.predict(np.zeros((2, *classifier.spec.image_shape), np.float32))


def test_a_network_that_gives_nan_is_refused(spec, tmp_path):
    """For the one dark picture among three, of whose brightness it takes a logarithm: nan never becomes a record's probability."""
    from ecg_tasks.learning.export import export_litert
    from ecg_tasks.learning.framework import keras_at_work

    with keras_at_work() as keras:
        pictures = keras.Input(spec.image_shape, dtype="uint8")
        brightness = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255, offset=-0.1)(pictures))
        network = keras.Model(pictures, keras.layers.Dense(1, activation="sigmoid")(keras.ops.log(brightness)))
        network.save(tmp_path / "nan.keras")
    classifier = Classifier(spec, export_litert((tmp_path / "nan.keras").read_bytes()), n_threads=1)
    images = np.stack([np.full(spec.image_shape, level, np.uint8) for level in (200, 0, 100)])
    assert np.isfinite(classifier.predict(images[[0, 2]])).all()
    with pytest.raises(ModelRefusedError, match="heartbeat v1 gives no probability for 1 of 3 pictures"):
        classifier.predict(images)


def test_what_serving_does_not_read_may_be_left_out(files):
    """A worker need not fetch the training format."""
    Classifier.from_files({name: content for name, content in files.items() if name != version.KERAS})


def test_damage_is_refused(files):
    """One flipped bit in the network is noticed before it is loaded."""
    damaged = bytearray(files[version.LITERT])
    damaged[len(damaged) // 2] ^= 1
    with pytest.raises(ModelRefusedError, match=r"model\.tflite is damaged"):
        Classifier.from_files(files | {version.LITERT: bytes(damaged)})


def test_what_is_no_network_is_refused(files):
    """Bytes that match their checksum and yet are no LiteRT file are refused."""
    with pytest.raises(ModelRefusedError, match=r"model\.tflite cannot be loaded"):
        Classifier.from_files(_resealed(files, **{version.LITERT: b"not a network"}))


def test_golden_scores_are_held(files, version_input):
    """A golden score that is off by more than a ten-thousandth refuses the version; half of that does not."""
    golden = version_input["golden"]
    for shift, refused in ((2e-4, True), (5e-5, False)):
        moved = Golden(images=golden.images, scores=golden.scores + np.float32(shift))
        changed = _resealed(files, **{version.GOLDEN: moved.to_bytes()})
        if refused:
            with pytest.raises(ModelRefusedError, match=r"golden scores differ by 0\.0002"):
                Classifier.from_files(changed)
        else:
            Classifier.from_files(changed)


def test_golden_scores_that_are_nan_are_refused(files, version_input):
    """A comparison with nan must not pass for agreement."""
    golden = version_input["golden"]
    broken = Golden(images=golden.images, scores=np.full_like(golden.scores, np.nan))
    with pytest.raises(ModelRefusedError, match="differ by nan"):
        Classifier.from_files(_resealed(files, **{version.GOLDEN: broken.to_bytes()}))


def test_another_picture_shape_is_refused(files, spec):
    """A specification that states other pictures than the network reads is refused."""
    other = replace(spec, image_shape=(16, 24, 3))
    with pytest.raises(ModelRefusedError, match=r"\(16, 24, 2\)"):
        Classifier.from_files(_resealed(files, **{version.SPEC: other.to_json()}))


def test_a_version_with_classes_says_what_keras_says(files_with_classes, trained_with_classes):
    """All outputs agree with Keras; P(abnormal) is the first; a record gets a decision on the class that is served, and on no other."""
    from ecg_tasks.learning.export import keras_scores

    classifier = Classifier.from_files(files_with_classes)
    images = np.random.default_rng(0).integers(0, 256, (5, *classifier.spec.image_shape), dtype=np.uint8)
    outputs = classifier.predict_outputs(images)
    assert outputs == pytest.approx(keras_scores(trained_with_classes.keras, images), abs=1e-5)
    assert np.array_equal(classifier.predict(images), outputs[:, 0])
    found = classifier.decide(np.arange(5), outputs, np.ones(5), n_records=5)
    assert [one.rule.name for one in found.classes] == ["CD"]
    log_odds = np.log(outputs[:, 2] / (1 - outputs[:, 2]))
    assert found.classes[0].probability == pytest.approx(1 / (1 + np.exp(-(log_odds / 2.0 + 0.5))), abs=1e-6)


@pytest.mark.parametrize("column", [0, 1, 2])
def test_golden_scores_of_every_output_are_held(files_with_classes, column):
    """One score of one output that is off refuses the version; so do scores of fewer outputs."""
    golden = Golden.from_bytes(files_with_classes[version.GOLDEN])
    scores = golden.scores.copy()
    scores[3, column] += 2e-4
    for wrong, message in ((scores, r"differ by 0\.0002"), (golden.scores[:, 0], r"scores of shape \(8,\)")):
        changed = Golden(images=golden.images, scores=wrong)
        with pytest.raises(ModelRefusedError, match=message):
            Classifier.from_files(_resealed(files_with_classes, **{version.GOLDEN: changed.to_bytes()}))


def test_a_class_without_an_output_is_refused(files, spec_with_classes):
    """A specification that says more than the network does is refused."""
    changed = replace(spec_with_classes, n_weights=1)
    with pytest.raises(ModelRefusedError, match="others report CD"):
        Classifier.from_files(_resealed(files, **{version.SPEC: changed.to_json()}))
