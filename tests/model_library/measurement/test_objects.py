"""Counting and sizing: known discs give their own figures, in the unit that is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from model_library.measurement.objects import SMALLEST_OBJECT_PX, measure_classes, measure_objects

MASKS = arrays.arrays(bool, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=24))


def discs(*places, size=(200, 300)):
    y, x = np.mgrid[: size[0], : size[1]]
    mask = np.zeros(size, dtype=bool)
    for row, column, radius in places:
        mask |= (y - row) ** 2 + (x - column) ** 2 <= radius**2
    return mask


def test_discs_give_their_number_area_and_diameter_in_nanometres():
    mask = discs((50, 50, 20), (100, 200, 10))
    found = measure_objects(mask, pixel_size_nm=4.0)
    assert (found.count, found.touching_border) == (2, 0)
    assert found.area_fraction == pytest.approx(np.pi * (400 + 100) / 60_000, rel=0.02)
    assert found.number_density_per_um2 == pytest.approx(2 / (0.8 * 1.2))
    assert found.equivalent_diameter_nm.mean == pytest.approx(4 * 30, rel=0.02)
    assert found.equivalent_diameter_nm.standard_deviation == pytest.approx(4 * 10, rel=0.03)
    assert found.equivalent_diameter_px is None
    assert found.number_density_per_megapixel is None


def test_without_a_pixel_size_the_figures_are_in_pixels_and_say_so():
    written = measure_objects(discs((50, 50, 20)), None).model_dump(exclude_none=True)
    assert written["equivalent_diameter_px"]["median"] == pytest.approx(40, rel=0.02)
    assert written["number_density_per_megapixel"] == pytest.approx(1e6 / 60_000)
    assert not any(key.endswith(("_nm", "_um2")) for key in written)


def test_what_the_edge_cuts_is_counted_but_has_no_size():
    found = measure_objects(discs((0, 150, 30), (100, 299, 12), (100, 100, 8)), 1.0)
    assert (found.count, found.touching_border) == (3, 2)
    assert found.equivalent_diameter_nm.measured == 1
    # The one at the lower or right edge counts for the density, the one at the upper edge does not.
    assert found.number_density_per_um2 == pytest.approx(2 / 60_000 * 1e6)


def test_specks_are_area_but_no_objects():
    mask = np.zeros((50, 50), dtype=bool)
    mask[10, 10 : 10 + SMALLEST_OBJECT_PX - 1] = True
    found = measure_objects(mask, 1.0)
    assert found.count == 0
    assert found.area_fraction > 0
    assert found.equivalent_diameter_nm is None


def test_pixels_that_touch_at_corners_are_one_object():
    assert measure_objects(np.eye(20, dtype=bool), 1.0).count == 1


def test_classes_are_measured_apart():
    labels = discs((50, 50, 20)).astype(np.uint8) + 2 * discs((100, 200, 10)).astype(np.uint8)
    found = measure_classes(labels, ("matrix", "pore", "carbide"), 2.0)
    assert list(found) == ["pore", "carbide"]
    assert [each.count for each in found.values()] == [1, 1]
    assert found["pore"].area_fraction > found["carbide"].area_fraction


def test_density_does_not_depend_on_how_a_field_is_cut_into_frames():
    rng = np.random.default_rng(5)
    places = [(row, column, 5) for row, column in rng.uniform((0, 0), (400, 400), (60, 2))]
    whole = discs(*places, size=(400, 400))
    frames = [whole[y : y + 100, x : x + 100] for y in range(0, 400, 100) for x in range(0, 400, 100)]
    mean = np.mean([measure_objects(frame, 1.0).number_density_per_um2 for frame in frames])
    assert mean == pytest.approx(measure_objects(whole, 1.0).number_density_per_um2, rel=0.15)


@settings(derandomize=True, deadline=None)
@given(MASKS, st.none() | st.floats(1e-2, 1e4))
def test_every_mask_has_finite_figures_and_a_whole_histogram(mask, pixel_size_nm):
    found = measure_objects(mask, pixel_size_nm)
    sizes = found.equivalent_diameter_nm or found.equivalent_diameter_px
    assert found.touching_border <= found.count
    if sizes is not None:
        assert sum(sizes.histogram.counts) == sizes.measured == found.count - found.touching_border
        assert sizes.percentile_5 <= sizes.median <= sizes.percentile_95
        assert len(sizes.histogram.edges) == len(sizes.histogram.counts) + 1
