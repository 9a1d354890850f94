"""Patches with their objects: cut, turned and boxed together; Mask R-CNN learns from them in the one loop."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from model_library.errors import RecipeError
from model_library.networks.build import build
from model_library.networks.config import MaskRCNNConfig
from model_library.specimens import Instances
from model_library.training.config import EarlyStopping, FitConfig
from model_library.training.fit import fit
from model_library.training.instances import AnnotatedInstances, DegradedInstances
from model_library.training.objectives import InstanceObjective, InstanceSource
from model_library.training.variations import Variations
from model_library.zoo.store import weights_bytes


def scene(seed: int, side: int = 64) -> tuple[np.ndarray, Instances]:
    """Bright squares, two of which overlap, on a dark ground; every object on a layer."""
    rng = np.random.default_rng(seed)
    layers = np.zeros((2, side, side), np.int32)
    layers[0, 10:22, 10:22], layers[1, 16:30, 16:30], layers[0, 40:52, 30:44] = 1, 2, 3
    pixels = 100 + 300 * layers.any(axis=0) + rng.normal(0, 10, (side, side))
    return pixels.astype(np.float32), layers


def degraded(read_sigma: float = 0.01, **changes: object) -> DegradedInstances:
    _, layers = scene(0)
    clean = (0.2 + 0.6 * layers.any(axis=0)).astype(np.float32)
    variations = Variations(read_sigma=(read_sigma, read_sigma), contrast=(0.8, 1.0), inverted_share=0.0)
    return DegradedInstances(**{"pool": [(clean, layers)], "variations": variations, **changes})


def source(**changes: object) -> AnnotatedInstances:
    image, layers = scene(0)
    return AnnotatedInstances(**{"images": [image], "instances": [layers], **changes})


@pytest.mark.parametrize("make", [source, degraded])
@given(seed=st.integers(0, 2**16))
def test_image_masks_and_boxes_move_together(make: Callable[..., InstanceSource], seed: int):
    images, targets = make(least_px=1).batch(4, 40, np.random.default_rng(seed))
    for image, target in zip(images, targets, strict=True):
        assert image.shape == (1, 40, 40)
        for mask, (x1, y1, x2, y2) in zip(target["masks"], target["boxes"].int().tolist(), strict=True):
            assert mask[y1:y2, x1:x2].sum() == mask.sum() > 0
            assert all(edge.any() for edge in (mask[y1], mask[y2 - 1], mask[:, x1], mask[:, x2 - 1]))
        objects = target["masks"].amax(dim=0) > 0
        if 0 < objects.float().mean() < 1:
            assert image[0][objects].min() > image[0][~objects].max()


def test_noise_is_drawn_anew_and_objects_stay_whole():
    images, targets = degraded(read_sigma=0.2).batch(2, 64, np.random.default_rng(0))
    assert not torch.equal(*images)
    for target in targets:
        assert sorted(target["masks"].flatten(1).sum(1).tolist()) == [144, 168, 196]
        assert target["labels"].tolist() == [1, 1, 1]
    with pytest.raises(RecipeError, match="smaller patch"):
        degraded().batch(1, 65, np.random.default_rng(0))


def test_overlapping_objects_stay_apart():
    _, (target,) = source().batch(1, 64, np.random.default_rng(0))
    assert len(target["labels"]) == 3
    assert sorted(target["masks"].flatten(1).sum(1).tolist()) == [144, 168, 196]
    assert (target["masks"].sum(0) == 2).sum() == 36


def test_slivers_at_the_border_are_left_out_and_empty_patches_have_no_objects():
    _, targets = source(least_px=100).batch(60, 16, np.random.default_rng(1))
    assert {len(target["labels"]) for target in targets} >= {0, 1}
    for target in targets:
        assert target["boxes"].shape == (len(target["labels"]), 4)
        assert target["masks"].shape == (len(target["labels"]), 16, 16)
        assert all(mask.sum() >= 100 for mask in target["masks"])


def test_objects_have_the_classes_of_their_numbers():
    _, (target,) = source(classes=[np.array([0, 2, 1, 5])]).batch(1, 64, np.random.default_rng(0))
    by_size = dict(zip(target["masks"].flatten(1).sum(1).tolist(), target["labels"].tolist(), strict=True))
    assert by_size == {144: 2, 196: 1, 168: 5}


def test_the_same_chance_gives_the_same_batch():
    first, again = (source().batch(3, 32, np.random.default_rng(5)) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(first[0], again[0], strict=True))
    assert all(torch.equal(a["masks"], b["masks"]) for a, b in zip(first[1], again[1], strict=True))


def test_objects_of_another_size_and_patches_too_large_are_refused():
    image, layers = scene(0)
    with pytest.raises(RecipeError, match="equal shapes"):
        AnnotatedInstances([image], [layers[:, :-1]])
    with pytest.raises(RecipeError, match="smaller patch"):
        source().batch(1, 65, np.random.default_rng(0))


def test_mask_r_cnn_trains_in_the_one_loop():
    torch.manual_seed(0)
    start = build(MaskRCNNConfig(width=16, anchors_px=(8, 12, 16, 24, 32), proposals=24, detections=8))
    objective = InstanceObjective(source(), held_out=source(images=[scene(1)[0]]))
    rule = EarlyStopping(every=4, patience=3, batches=1)
    config = FitConfig(steps=8, batch=1, patch_px=64, learning_rate=2e-3, early_stopping=rule)
    first, again = (fit(start, objective, config) for _ in range(2))
    assert np.mean(first.losses[-2:]) < 0.8 * np.mean(first.losses[:2])
    assert [one.step for one in first.judgements] == [4, 8]
    assert weights_bytes(first.module) == weights_bytes(again.module)
