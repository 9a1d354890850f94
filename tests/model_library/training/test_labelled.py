"""Pairs of acquired images and drawn labels: moved together, jittered in grey, learnt from."""

import numpy as np
import pytest
import torch

from model_library.errors import RecipeError
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.training.fit import FitConfig, fit
from model_library.training.labelled import AnnotatedPairs, jittered


def squares(seed, side=64):
    """Bright squares on a noisy dark ground, in counts, with their labels."""
    rng = np.random.default_rng(seed)
    classes = np.zeros((side, side), np.uint8)
    for top, left in rng.integers(0, side - 12, (4, 2)):
        classes[top : top + 12, left : left + 12] = 1
    pixels = 300 + 200.0 * classes + rng.normal(0, 30, (side, side))
    return pixels.astype(np.float32), classes


def pairs(count=2):
    images, classes = zip(*(squares(seed) for seed in range(count)), strict=True)
    return AnnotatedPairs(images, classes)


def test_image_and_labels_are_turned_together():
    inputs, targets = pairs().batch(16, 32, np.random.default_rng(0))
    assert inputs.shape == targets.shape == (16, 1, 32, 32)
    for image, labels in zip(inputs, targets, strict=True):
        if 0 < labels.mean() < 1:
            assert image[labels > 0].mean() > image[labels == 0].mean() + 0.2


def test_the_same_chance_gives_the_same_batch():
    first, again = (pairs().batch(4, 32, np.random.default_rng(3)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_slices_and_weights_are_cut_and_turned_with_the_labels():
    image, classes = squares(0)
    weights = classes.astype(np.float32) * 3 + 1
    stack = np.stack([image, image + 1, image + 2])
    inputs, targets = AnnotatedPairs([stack], [classes], [weights]).batch(8, 32, np.random.default_rng(0))
    assert (inputs.shape, targets.shape) == ((8, 3, 32, 32), (8, 2, 32, 32))
    assert torch.equal(targets[:, 1], targets[:, 0] * 3 + 1)
    for slices, labels in zip(inputs, targets[:, 0], strict=True):
        if 0 < labels.mean() < 1:
            assert all(each[labels > 0].mean() > each[labels == 0].mean() + 0.2 for each in slices)


def test_weights_of_another_size_are_refused():
    image, classes = squares(0)
    with pytest.raises(RecipeError, match="weights of the shapes"):
        AnnotatedPairs([image], [classes], [np.ones((3, 3), np.float32)])


def test_jitter_keeps_the_order_of_grey_values():
    unit = np.linspace(-0.2, 1.2, 200, dtype=np.float32).reshape(10, 20)
    rng = np.random.default_rng(1)
    several = [jittered(unit, rng) for _ in range(20)]
    assert all((np.diff(image.ravel()) > 0).all() for image in several)
    assert np.std([image.mean() for image in several]) > 0.01
    assert all(image.dtype == np.float32 for image in several)


def test_labels_of_another_size_are_refused():
    image, classes = squares(0)
    with pytest.raises(RecipeError, match="equal shapes"):
        AnnotatedPairs([image], [classes[:-1]])
    with pytest.raises(RecipeError, match="equal shapes"):
        AnnotatedPairs([], [])


def test_a_network_learns_what_was_drawn():
    torch.manual_seed(0)
    torch.set_num_threads(1)
    start = build(UNetConfig(widths=(8, 16), out_channels=2, residual=False))
    config = FitConfig(steps=60, batch=8, patch_px=32, learning_rate=5e-3, seed=0, loss="cross_entropy")
    result = fit(start, pairs(), config)
    assert np.mean(result.losses[-5:]) < 0.5 * np.mean(result.losses[:5])
