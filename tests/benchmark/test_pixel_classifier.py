"""The random forest splits as its definition says, generalises, and says that no reference can rebuild it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter
from skimage.feature import hessian_matrix_eigvals, structure_tensor_eigenvalues

from benchmark.assessment import assess
from benchmark.baselines import (
    classical,
    classical_methods,
    pixel_training,
    train_numbered_pixels,
    train_pixel_classifier,
    tune,
)
from benchmark.baselines.forest import Growth, grow
from benchmark.baselines.objects import CELLS, OBJECTS
from benchmark.baselines.pixel_features import SIGMAS_PX, pixel_features
from benchmark.cases import Case, Instances, Labels, Partition, Truth
from benchmark.errors import BenchmarkError, UnknownMethod
from benchmark.evaluate import evaluate
from model_library.errors import NonFinitePixels
from model_library.wire.tasks import Segment

TASK = Segment(classes=("background", "wall"))
SMALL = Growth(trees=8, depth=8)


def foam(seed, side=80):
    """Walls of a foam on a ground whose brightness wanders more than they stand out; numbered cells."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, side + 20, (40, 2))
    y, x = np.mgrid[:side, :side]
    away = np.hypot(y[..., None] - corners[:, 0], x[..., None] - corners[:, 1])
    nearest = np.sort(away, axis=-1)
    walls = (nearest[..., 1] - nearest[..., 0]) < 3
    ground = gaussian_filter(rng.standard_normal((side, side)), 12)
    pixels = 1000 + 300 * walls + 500 * ground / ground.std() + 40 * rng.standard_normal((side, side))
    return pixels.astype(np.float32), walls, np.where(walls, 0, 1 + away.argmin(axis=-1)).astype(np.int32)


def case(seed, reference=lambda walls, cells: Labels(walls)):
    pixels, walls, cells = foam(seed)
    return Case(f"f{seed}", f"{seed}", pixels, reference(walls, cells))


@pytest.fixture(scope="module")
def trained():
    return train_pixel_classifier([case(seed) for seed in range(3)], growth=SMALL)


def gini(second, weights):
    share = np.average(second, weights=weights) if weights.sum() else 0.0
    return 2 * share * (1 - share) * weights.sum()


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_a_stump_takes_the_split_of_least_impurity(seed):
    rng = np.random.default_rng(seed)
    features = rng.integers(0, 6, (1, 60)).astype(np.float32)
    second = rng.random(60) < (features[0] > rng.integers(0, 6)) * 0.6 + 0.2
    drawing = np.random.default_rng(1)
    forest = grow(features, second, Growth(trees=1, depth=1, least_samples=1), drawing)
    weights = np.random.default_rng(1).multinomial(60, np.full(60, 1 / 60)).astype(float)
    left = forest.codes(features)[0] <= forest.at_most[0, 0]
    found = gini(second[left], weights[left]) + gini(second[~left], weights[~left])
    every = [
        gini(second[low], weights[low]) + gini(second[~low], weights[~low])
        for low in (features[0] <= value for value in range(-1, 6))
    ]
    assert found == pytest.approx(min(every))
    for side, share in ((left, forest.share[0, 1]), (~left, forest.share[0, 2])):
        if weights[side].sum():
            assert share == pytest.approx(np.average(second[side], weights=weights[side]), abs=1e-6)


def test_leaves_hold_the_samples_they_must_and_pure_nodes_stay_whole():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((5, 400)).astype(np.float32)
    pure = grow(features, np.ones(400, bool), SMALL, np.random.default_rng(0))
    assert (pure.probability(pure.codes(features), 8) == 1).all()
    coarse = grow(features, features[0] > 0, Growth(trees=1, depth=6, least_samples=150), rng)
    assert len(np.unique(coarse.probability(coarse.codes(features), 6))) <= 2


def test_a_shallower_reading_is_the_forest_grown_shallower():
    rng = np.random.default_rng(2)
    features = rng.standard_normal((4, 500)).astype(np.float32)
    second = features[0] * features[1] > 0
    deep, shallow = (
        grow(features, second, Growth(trees=1, depth=depth), np.random.default_rng(5)) for depth in (6, 3)
    )
    codes = deep.codes(features)
    assert np.array_equal(deep.probabilities(codes, (3, 6))[3], shallow.probability(codes, 3))
    assert ((deep.probability(codes, 6) > 0.5) == second).mean() > 0.85


def test_features_are_those_of_scikit_image():
    pixels = foam(0)[0] / 1000
    found = list(pixel_features(pixels))
    assert len(found) == 1 + 7 * len(SIGMAS_PX)
    for number, sigma in enumerate(SIGMAS_PX):
        mean, outer, length, *eigenvalues = found[1 + 7 * number : 8 + 7 * number]
        assert mean == pytest.approx(gaussian_filter(pixels, sigma), abs=1e-5)
        assert outer == pytest.approx(mean - gaussian_filter(pixels, 1.6 * sigma), abs=1e-5)
        second = [
            gaussian_filter(pixels, sigma, order=order) * sigma**2 for order in ((2, 0), (1, 1), (0, 2))
        ]
        assert np.stack(eigenvalues[:2]) == pytest.approx(hessian_matrix_eigvals(second), abs=1e-4)
        down, across = (gaussian_filter(pixels, sigma, order=order) * sigma for order in ((1, 0), (0, 1)))
        assert length == pytest.approx(np.hypot(down, across), abs=1e-5)
        tensor = [gaussian_filter(each, 2 * sigma) for each in (down * down, down * across, across * across)]
        assert np.stack(eigenvalues[2:]) == pytest.approx(structure_tensor_eigenvalues(tensor), abs=1e-4)


def test_it_beats_the_tuned_thresholds_where_the_ground_wanders(trained):
    others = [case(seed) for seed in range(10, 13)]
    rivals = [tune(family, [case(seed) for seed in range(3)]) for family in classical_methods(TASK)[:2]]
    scores = evaluate([trained, *rivals], others)
    assert scores.mean("random-forest") > 0.8
    assert scores.mean("random-forest") > max(scores.mean(each.family.id) for each in rivals) + 0.03


def test_equal_seeds_give_equal_forests_and_gain_and_offset_play_no_part(trained):
    again = train_pixel_classifier([case(seed) for seed in range(3)], growth=SMALL)
    pixels = foam(9)[0]
    assert np.array_equal(again(pixels), trained(pixels))
    assert (trained(np.float32(3) * pixels - np.float32(500)) != trained(pixels)).mean() < 0.01
    assert set(np.unique(trained(pixels))) <= {0.0, 1.0}


def test_one_image_is_judged_half_by_half():
    lonely = train_pixel_classifier([case(0)], growth=SMALL)
    assert evaluate([lonely], [case(11)]).mean("random-forest") > 0.6


def test_images_without_the_class_are_learned_from_too():
    pixels, walls, _ = foam(3)
    empty = Case(
        "e",
        "e",
        np.random.default_rng(0).normal(1000, 40, pixels.shape).astype(np.float32),
        Labels(walls & False),
    )
    found = train_pixel_classifier([case(0), empty, case(1)], growth=SMALL)
    assert found(empty.input).mean() < 0.05


def test_objects_and_cells_are_numbered_from_its_probability():
    cells = [case(seed, lambda walls, cells: Partition(cells)) for seed in range(2)]
    method = train_numbered_pixels(CELLS, cells, growth=SMALL)
    judged = [case(seed, lambda walls, cells: Partition(cells)) for seed in (10, 11)]
    scores = evaluate([method, tune(CELLS, cells)], judged)
    assert scores.mean("random-forest") > scores.mean(CELLS.id) + 0.05
    objects = [case(seed, lambda walls, cells: Instances(cells)) for seed in range(2)]
    numbered = train_numbered_pixels(OBJECTS, objects, growth=SMALL)
    assert evaluate([numbered], objects).mean("random-forest") > 0.3


def test_it_takes_part_wherever_there_are_masks(monkeypatch):
    monkeypatch.setattr(pixel_training, "GROWTH", SMALL)
    tuning, scored = ([case(seed) for seed in seeds] for seeds in (range(2), range(10, 12)))
    found = assess((), TASK, tuning, scored)
    assert {row.method for row in found.rows} == {
        "random-forest",
        *(family.id for family in classical_methods(TASK)),
    }
    assert found.best_classical == "random-forest"


def test_no_reference_rebuilds_it(trained):
    with pytest.raises(UnknownMethod, match="train it again"):
        classical(trained.ref, TASK)


def test_what_it_cannot_learn_from_is_refused(trained):
    with pytest.raises(BenchmarkError, match="found none"):
        train_pixel_classifier([])
    pixels = foam(0)[0]
    with pytest.raises(BenchmarkError, match="found a truth"):
        train_pixel_classifier([Case("f", "f", pixels, Truth.of(pixels))])
    with pytest.raises(NonFinitePixels):
        trained(np.full((40, 40), np.nan, np.float32))
