"""Errors of defect statistics are those that were planted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.errors import UnfitImages
from benchmark.metrics.defects import defect_errors


def discs(radii, side=256, pitch=40):
    mask = np.zeros((side, side), bool)
    y, x = np.mgrid[:side, :side]
    places = [(20 + pitch * (n // 6), 20 + pitch * (n % 6)) for n in range(len(radii))]
    for (cy, cx), radius in zip(places, radii, strict=True):
        mask |= np.hypot(y - cy, x - cx) <= radius
    return mask


def test_equal_masks_have_no_error():
    found = defect_errors(discs([6] * 10), discs([6] * 10), 2.0)
    assert (found.density_error, found.mean_diameter_error, found.area_fraction_error) == (0, 0, 0)
    assert found.size_distribution_distance == 0


def test_missed_objects_are_a_density_error_with_units():
    found = defect_errors(discs([6] * 8), discs([6] * 10), 2.0)
    assert found.density_error == pytest.approx(-0.2)
    assert found.truth.number_density_per_um2 == pytest.approx(10 / (0.512**2))
    assert found.mean_diameter_error == pytest.approx(0)
    assert found.area_fraction_error == pytest.approx(-0.2 * found.truth.area_fraction)


def test_objects_drawn_too_large_are_a_size_error():
    found = defect_errors(discs([9] * 10), discs([6] * 10))
    assert found.mean_diameter_error == pytest.approx(0.5, abs=0.04)
    assert found.median_diameter_error == pytest.approx(found.mean_diameter_error)
    assert found.size_distribution_distance == 1.0
    assert found.found.equivalent_diameter_px is not None


@given(st.lists(st.integers(3, 12), min_size=2, max_size=12))
def test_the_distance_of_distributions_is_that_of_their_classes(radii):
    half = len(radii) // 2
    one, other = discs(radii[:half]), discs(radii[half:])
    found = defect_errors(one, other)
    assert 0 <= found.size_distribution_distance <= 1
    assert found.size_distribution_distance == defect_errors(other, one).size_distribution_distance


def test_without_objects_there_is_no_relative_error():
    nothing, some = np.zeros((64, 64), bool), discs([6], side=64)
    found = defect_errors(some, nothing)
    assert found.density_error is found.mean_diameter_error is found.size_distribution_distance is None
    assert defect_errors(nothing, some).density_error == -1
    assert defect_errors(nothing, nothing).area_fraction_error == 0


def test_other_shapes_are_refused():
    with pytest.raises(UnfitImages, match="one shape"):
        defect_errors(np.zeros((4, 4)), np.zeros((4, 5)))
