"""Which ages a version was shown: neither a single child nor an age that is not known counts."""

import numpy as np
import pytest

from ecg_tasks.evaluation.ages import MIN_BEYOND, AgeRange, ages_shown


def test_the_ends_are_ages_that_several_patients_had():
    """A child among adults, and nine people of 95, do not widen the range; the tenth would."""
    ages = [5.0, *np.linspace(30.4, 79.6, 60), *[95.0] * (MIN_BEYOND - 1)]
    found = ages_shown(np.array(ages), [f"p{number}" for number in range(len(ages))])
    assert found is not None
    assert (found.low, found.n_patients) == (np.floor(sorted(ages)[MIN_BEYOND - 1]), len(ages))
    assert found.high < 80.5
    wider = ages_shown(np.array([*ages, 95.0]), [f"p{number}" for number in range(len(ages) + 1)])
    assert wider is not None
    assert wider.high == 95.0


def test_a_patient_counts_once_and_too_few_give_no_range():
    """Twenty records of one child are one child; nineteen known ages are too few."""
    ages, patients = np.array([*[5.0] * 20, *[50.0] * 30]), ["child"] * 20 + [f"p{number}" for number in range(30)]
    found = ages_shown(ages, patients)
    assert found is not None
    assert (found.low, found.high, found.n_patients) == (50.0, 50.0, 31)
    assert ages_shown(np.array([40.0] * 19 + [np.nan] * 30), [f"p{number}" for number in range(49)]) is None


def test_the_ends_are_whole_years_around_the_tenth_age_from_either_side():
    """Two years apart, from 30.4 on; a second record of a patient, of another age, says nothing."""
    ages, patients = [30.4 + 2 * number for number in range(40)], [f"p{number}" for number in range(40)]
    assert ages_shown(np.array([*ages, 5.0]), [*patients, "p20"]) == AgeRange(low=48.0, high=91.0, n_patients=40)


@pytest.mark.parametrize(("age", "inside"), [(17.9, False), (18.0, True), (90.0, True), (91.0, False), (None, True), (float("nan"), True)])
def test_an_age_that_is_not_known_is_not_outside(age, inside):
    """Both ends are inside."""
    found = AgeRange(low=18.0, high=90.0, n_patients=400)
    assert found.holds(age) is inside
    assert AgeRange.from_dict(found.as_dict()) == found
