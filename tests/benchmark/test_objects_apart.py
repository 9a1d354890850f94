"""Classical objects and cells: touching discs are told apart, and walls are thinned away."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter, label

from benchmark.baselines import ClassicalMethod, classical_methods, tune
from benchmark.baselines.merging import MERGED_CELLS, merged
from benchmark.baselines.objects import CELLS, OBJECTS
from benchmark.cases import Case, Instances, Partition, Truth
from benchmark.evaluate import evaluate
from benchmark.metrics import average_precision, rand_foreground
from model_library.degradation.operators import block_mean
from model_library.wire.tasks import SuperResolve


def discs(seed, side=128, sign=1):
    """Discs of radius 11 on a grid of 21 px: neighbours touch."""
    y, x = np.mgrid[:side, :side]
    numbers = np.zeros((side, side), np.int32)
    rng = np.random.default_rng(seed)
    for row in range(5):
        for column in range(5):
            centre_y, centre_x = 20 + 21 * row + rng.uniform(-1, 1), 20 + 21 * column + rng.uniform(-1, 1)
            numbers[np.hypot(y - centre_y, x - centre_x) < 11] = 1 + 5 * row + column
    pixels = 100 + sign * 60 * gaussian_filter((numbers > 0).astype(np.float32), 1)
    return Case(
        f"f{seed}",
        f"{seed}",
        (pixels + rng.normal(0, 6, pixels.shape)).astype(np.float32),
        Instances(numbers),
    )


def foam(seed, side=128):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, side + 20, (50, 2))
    y, x = np.mgrid[:side, :side]
    away = np.sort(np.hypot(y[..., None] - corners[:, 0], x[..., None] - corners[:, 1]), axis=-1)
    walls = (away[..., 1] - away[..., 0]) < 3
    numbers, _ = label(~walls)
    pixels = 150 - 80 * gaussian_filter(walls.astype(np.float32), 1) + rng.normal(0, 8, walls.shape)
    return Case(f"f{seed}", f"{seed}", pixels.astype(np.float32), Partition(numbers.astype(np.int32)))


@pytest.mark.parametrize("sign", [1, -1])
def test_touching_discs_are_told_apart(sign):
    tuned = tune(OBJECTS, [discs(0, sign=sign), discs(1, sign=sign)])
    assert tuned.parameters["bright"] == (sign > 0)
    case = discs(9, sign=sign)
    found = tuned(case.input)
    assert average_precision(found, case.reference.labels) > 0.9


def test_objects_are_numbered_from_the_largest_down():
    pixels = np.zeros((64, 64), np.float32)
    pixels[4:12, 4:12] = pixels[30:60, 30:60] = pixels[4:20, 40:56] = 100
    found = ClassicalMethod(OBJECTS, {**OBJECTS.start, "sigma_px": 0.0})(pixels)
    areas = np.bincount(found.astype(int).ravel())[1:]
    assert sorted(areas, reverse=True) == areas.tolist()
    assert len(areas) == 3


@pytest.mark.parametrize("family", [CELLS, MERGED_CELLS])
def test_cells_reach_until_they_meet(family):
    tuned = tune(family, [foam(0), foam(1)])
    assert tuned.parameters["bright"] == 0.0
    case = foam(9)
    found = tuned(case.input)
    assert rand_foreground(found, case.reference.labels) > 0.9
    assert found.min() >= 1


def test_a_flat_image_holds_nothing_or_one_cell():
    flat = np.full((40, 40), 7, np.float32)
    assert not ClassicalMethod(OBJECTS, OBJECTS.start)(flat).any()
    for family in (CELLS, MERGED_CELLS):
        assert np.unique(ClassicalMethod(family, family.start)(flat)).size == 1


def test_a_gap_in_a_wall_does_not_let_cells_run_together():
    wall = np.zeros((40, 61), np.float32)
    wall[:, 30] = 1
    wall[18:20, 30] = 0
    level = {"bright": 1.0, "sigma_px": 0.0, "level": 0.5}
    grown = ClassicalMethod(CELLS, {**level, "least_px": 0.0})(wall)
    assert len(np.unique(grown)) == 1
    halves = np.where(np.arange(61) < 30, 3, 4)[None].repeat(40, 0)
    assert merged(halves, wall, 0.5)[0, 0] != merged(halves, wall, 0.5)[0, -1]


@given(seed=st.integers(0, 2**16), low=st.floats(0, 1), high=st.floats(0, 1))
def test_merging_only_ever_joins_regions_and_a_higher_level_joins_more(seed, low, high):
    rng = np.random.default_rng(seed)
    regions = rng.integers(0, 9, (12, 13))
    heights = rng.random((12, 13)).astype(np.float32)
    low, high = sorted((low, high))
    few, many = merged(regions, heights, low), merged(regions, heights, high)
    # Whoever is together at the finer stage is together at the coarser one.
    for coarse, fine in ((few, regions), (many, few)):
        assert all(len(np.unique(coarse[fine == number])) == 1 for number in np.unique(fine))
    assert len(np.unique(merged(regions, heights, 1.0))) == 1
    assert np.array_equal(merged(regions, heights, -1.0), regions)


def test_deconvolution_sharpens_what_bicubic_leaves_blurred():
    cases = []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        field = gaussian_filter(rng.standard_normal((96, 96)), 3, mode="wrap")
        truth = np.where(field > 0, 200, 50).astype(np.float32)
        blurred = block_mean(gaussian_filter(truth, 1.4), 2)
        noisy = (blurred + rng.normal(0, 1, blurred.shape)).astype(np.float32)
        cases.append(Case(f"f{seed}", f"{seed}", noisy, Truth.of(truth)))
    families = {family.id: family for family in classical_methods(SuperResolve(scale=2))}
    methods = [tune(families[name], cases[:3], scale=2) for name in ("bicubic", "richardson-lucy")]
    scores = evaluate(methods, cases[3:])
    assert scores.mean("richardson-lucy") > scores.mean("bicubic") + 1
