"""Explanations: they point where the answer lies, belong to the weights, repeat themselves, and add up."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import spearmanr

from ecg_tasks.errors import SignalError
from ecg_tasks.evaluation.calibration import sigmoid
from ecg_tasks.learning.decisions import SiteRule
from ecg_tasks.learning.explanation import MAX_PARTS, explain
from ecg_tasks.learning.serving import Classifier

SHAPE = (9, 15, 24)
RNG = np.random.default_rng(0)


def by_hand(log_odds, *, shape=SHAPE, temperature=1.0, typical=100, sites=()):
    """A classifier whose log-odds are a function of pictures (n, height, width, channels) as floats."""
    return SimpleNamespace(
        spec=SimpleNamespace(image_shape=shape, temperature=temperature, sites=sites),
        typical=np.full(shape, typical, np.uint8),
        predict=lambda images: sigmoid(log_odds(images.astype(float))).astype(np.float32),
    )


def trained_classifier(spec, litert, validation_set):
    """The shared network, compared with the median normal picture."""
    typical = np.median(validation_set.images[validation_set.labels == 0], axis=0).astype(np.uint8)
    return Classifier(spec, litert, n_threads=1, typical=typical)


def test_a_planted_region_is_found():
    """Where only rows 2 and 3, columns 5 to 7 of lead 4 decide, all of the effect lies there, with its sign, in calibrated log-odds."""
    region = np.s_[:, 2:4, 5:8, [4, 16]]
    classifier = by_hand(lambda x: (x[region] - 100).mean(axis=(1, 2, 3)) / 20, temperature=2.0)
    images = RNG.integers(0, 256, (3, *SHAPE), dtype=np.uint8)
    images[:2][region] = 140
    images[2][region[1:]] = 60
    found = explain(classifier, images, n_leads=12)
    assert found.log_odds == pytest.approx([1, 1, -1], abs=1e-4)
    assert found.cells[:, 2:4, 5:8].sum(axis=(1, 2)) == pytest.approx([1, 1, -1], abs=1e-3)
    assert found.leads[:, 4, 5:8].sum(axis=1) == pytest.approx([1, 1, -1], abs=1e-3)
    found.cells[:, 2:4, 5:8] = found.leads[:, 4, 5:8] = 0
    assert np.abs(found.cells).max() < 1e-4
    assert np.abs(found.leads).max() < 1e-4


def test_a_finding_that_shows_in_two_places_is_seen_in_both():
    """Where either of two leads suffices, sparing one changes nothing, and yet each gets its half of the credit."""
    classifier = by_hand(lambda x: np.maximum(x[..., 0].max(axis=(1, 2)), x[..., 1].max(axis=(1, 2))) / 100 - 1)
    image = np.full((1, *SHAPE), 100, np.uint8)
    image[0, 4, 7, :2] = 200
    found = explain(classifier, image, n_leads=12)
    assert found.leads[0, :2, 7] == pytest.approx([0.5, 0.5], abs=1e-3)


def test_log_odds_are_those_of_the_site():
    """What is told of a record of a site with a calibration of its own is in the log-odds that decided on it."""
    north = SiteRule(site="north", temperature=0.5, bias=1.0, threshold=0.5, abstain=(0.5, 0.5))
    classifier = by_hand(lambda x: (x[:, 3, 7, 0] - 100) / 50, temperature=2.0, sites=(north,))
    images = np.full((1, *SHAPE), 150, np.uint8)
    for site, log_odds in ((None, 0.5), ("south", 0.5), ("north", 2.0)):
        found = explain(classifier, images, n_leads=12, site=site)
        assert found.log_odds == pytest.approx([log_odds], abs=1e-4)
        assert found.leads.sum() == pytest.approx(log_odds, abs=1e-3)


def test_large_pictures_are_exchanged_in_patches():
    """More rows or columns than parts share the effect of their patch, and the map has the picture's shape all the same."""
    classifier = by_hand(lambda x: (x[:, :8].mean(axis=(1, 2, 3)) - 100) / 50, shape=(64, 40, 3))
    found = explain(classifier, np.full((1, 64, 40, 3), 150, np.uint8), n_leads=1)
    assert found.cells.shape == (1, 64, 40)
    assert np.unique(found.cells[0].round(6), axis=0).shape[0] <= MAX_PARTS
    assert np.abs(found.cells[0, 8:]).max() < 1e-5 < found.cells[0, :8].min()


def test_it_points_where_the_trained_network_was_taught_to_look(spec, litert, validation_set):
    """Abnormal pictures of the shared training are brighter in rows 4 to 7: there the abnormal ones get most of their effect."""
    abnormal = validation_set.images[validation_set.labels == 1][:4]
    by_row = explain(trained_classifier(spec, litert, validation_set), abnormal, n_leads=1).cells.mean(axis=(0, 2))
    assert set(np.argsort(by_row)[-4:]) <= set(range(3, 9))
    assert by_row[4:8].sum() > 2 * np.abs(np.delete(by_row, range(4, 8))).sum() / 3


def test_other_weights_give_another_explanation(spec, litert, trained, validation_set):
    """The sanity check of Adebayo et al. 2018 (arXiv 1810.03292): weights drawn anew give an unlike map, the same ones the same."""
    from ecg_tasks.learning.export import export_litert
    from ecg_tasks.learning.framework import keras_at_work
    from ecg_tasks.learning.keras_file import save_network
    from ecg_tasks.learning.networks import build_network

    images = validation_set.images[validation_set.labels == 1][:4]
    classifier = trained_classifier(spec, litert, validation_set)
    first, again = (explain(classifier, images, n_leads=2) for _ in range(2))
    assert np.array_equal(first.cells, again.cells)
    assert np.array_equal(first.leads, again.leads)
    with keras_at_work() as keras:
        keras.utils.set_random_seed(5)
        anew = save_network("compact", spec.image_shape, [build_network("compact", spec.image_shape).get_weights()])
    other = explain(Classifier(spec, export_litert(anew), n_threads=1, typical=classifier.typical), images, n_leads=2)
    for one, two in ((first.cells, other.cells), (first.leads, other.leads)):
        for index in range(len(images)):
            assert abs(spearmanr(one[index], two[index], axis=None).statistic) < 0.5


def test_parts_add_up_to_the_whole_where_the_network_is_nearly_additive(spec, litert, validation_set):
    """Measured from both ends, the effects of all parts together are the picture's log-odds over the typical one's, to a third."""
    found = explain(trained_classifier(spec, litert, validation_set), validation_set.images[:6], n_leads=2)
    assert found.cells.shape == (6, 16, 24)
    by_part = found.cells.reshape(6, 16, 24)[:, :, np.unique(np.arange(24) * MAX_PARTS // 24, return_index=True)[1]]
    assert np.abs(by_part.sum(axis=(1, 2)) - found.log_odds).max() < np.abs(found.log_odds).max() / 3


def test_what_cannot_be_explained_is_refused(spec, litert):
    """Leads that the channels cannot be, and a version without a typical picture, are refused."""
    with pytest.raises(SignalError, match="2 channels cannot show 3 leads"):
        explain(Classifier(spec, litert, n_threads=1), np.zeros((1, *spec.image_shape), np.uint8), n_leads=3)
    with pytest.raises(SignalError, match="no typical picture"):
        explain(Classifier(spec, litert, n_threads=1), np.zeros((1, *spec.image_shape), np.uint8), n_leads=2)


def test_the_temperature_scales_effects(spec, litert, validation_set):
    """Twice the temperature, half the effect."""
    image = validation_set.images[:1]
    warm = Classifier(replace(spec, temperature=2 * spec.temperature), litert, n_threads=1, typical=np.full(spec.image_shape, 90, np.uint8))
    cold = Classifier(spec, litert, n_threads=1, typical=warm.typical)
    assert explain(cold, image, n_leads=1).cells == pytest.approx(2 * explain(warm, image, n_leads=1).cells, abs=1e-6)
