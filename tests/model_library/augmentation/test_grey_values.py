"""Grey values change by what each operator says, per image, from the given generator only; labels stay."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy import ndimage

from model_library.augmentation import (
    Augmentation,
    BackgroundNoise,
    Batch,
    Blur,
    Contrast,
    Crop,
    Flip,
    GaussianNoise,
    Instances,
    Jitter,
    PoissonNoise,
    QuarterTurn,
    Resize,
    Rotate,
    SaltPepper,
    Zoom,
)

GREY = [
    GaussianNoise(sigma=(0.01, 0.2)),
    PoissonNoise(),
    BackgroundNoise(sigma=(0.05, 0.1), size_px=8),
    Contrast(),
    Jitter(),
    Blur(sigma_px=(0.5, 2)),
    SaltPepper(),
]
MOVING = [
    Rotate(),
    Zoom(),
    Flip(axis="x"),
    Flip(axis="y"),
    QuarterTurn(),
    Resize(height_px=40, width_px=48),
    Crop(height_px=20, width_px=24),
]
FLAT = torch.full((1, 1, 512, 512), 0.5)


def batch(number=3, channels=2, side=32):
    pixels = torch.rand(number, channels, side, side, generator=torch.Generator().manual_seed(1))
    masks = (pixels[:, :1] > 0.5).to(torch.uint8)
    instances = tuple(Instances.of(mask > 0, torch.ones(1)) for mask in masks)
    return Batch(pixels, masks, instances)


def applied(operator, given, seed=0):
    return Augmentation(operators=(operator,)).apply(given, np.random.default_rng(seed))


@pytest.mark.parametrize("operator", GREY, ids=lambda each: each.kind)
def test_only_grey_values_change(operator):
    before = batch(side=64)
    after = applied(operator, before)
    assert after.images.shape == before.images.shape
    assert not torch.equal(after.images, before.images)
    assert after.masks is before.masks
    assert after.instances is before.instances
    untouched = applied(operator.model_copy(update={"share": 0.0}), before)
    assert torch.equal(untouched.images, before.images)


def test_gaussian_noise_has_its_deviation():
    noise = applied(GaussianNoise(sigma=(0.1, 0.1)), Batch(FLAT)).images - FLAT
    assert noise.std() == pytest.approx(0.1, rel=0.02)
    assert abs(noise.mean()) < 0.001


def test_poisson_noise_has_the_variance_of_its_dose():
    noisy = applied(PoissonNoise(electrons_per_pixel=(40, 40)), Batch(FLAT)).images
    assert noisy.var() == pytest.approx(0.5 / 40, rel=0.02)
    assert torch.allclose((noisy * 40).round() / 40, noisy)
    assert not applied(PoissonNoise(), Batch(-FLAT)).images.any()


def test_background_noise_is_smooth_and_has_its_deviation():
    noise = applied(BackgroundNoise(sigma=(0.1, 0.1), size_px=64), Batch(FLAT)).images - FLAT
    assert noise.std() == pytest.approx(0.1, rel=0.01)
    assert noise.diff(dim=3).abs().max() < 0.02
    assert noise.max() - noise.min() > 0.2


def test_contrast_is_about_the_mean_and_jitter_keeps_the_order():
    before = batch()
    stretched = applied(Contrast(factor=(2, 2)), before).images
    assert torch.allclose(stretched.mean((2, 3)), before.images.mean((2, 3)), atol=1e-5)
    assert torch.allclose(stretched.std((2, 3)), 2 * before.images.std((2, 3)), rtol=1e-4)
    ramp = torch.linspace(-0.2, 1.2, 50).reshape(1, 1, 5, 10)
    bent = applied(Jitter(offset=(0.1, 0.1), gamma=(2, 2)), Batch(ramp)).images
    assert (bent.flatten().diff() > 0).all()
    assert torch.allclose(bent, ramp.sign() * ramp**2 + 0.1)


@settings(derandomize=True, deadline=None, max_examples=20)
@given(st.floats(0.0, 3.0))
def test_blur_is_that_of_scipy(sigma):
    before = batch(number=1)
    after = applied(Blur(sigma_px=(sigma, sigma)), before).images
    for plane, blurred in zip(before.images[0], after[0], strict=True):
        expected = ndimage.gaussian_filter(plane.numpy().astype(float), sigma, mode="mirror", truncate=4)
        assert np.allclose(blurred.numpy(), expected, atol=2e-3)


def test_salt_and_pepper_have_their_shares_in_all_channels_alike():
    grey = FLAT.expand(1, 3, -1, -1)
    found = applied(SaltPepper(salt=0.02, pepper=0.05), Batch(grey)).images
    assert (found == 1).float().mean() == pytest.approx(0.02, rel=0.1)
    assert (found == 0).float().mean() == pytest.approx(0.05, rel=0.1)
    assert torch.equal(found[0, 0], found[0, 2])


@pytest.mark.parametrize("operator", [*GREY, *MOVING], ids=lambda each: each.kind)
def test_all_chance_comes_from_the_generator(operator):
    before = batch(number=4)
    torch.manual_seed(0)
    first = applied(operator, before, seed=7)
    torch.manual_seed(99)
    again = applied(operator, before, seed=7)
    assert torch.equal(first.images, again.images)
    assert torch.equal(first.masks, again.masks)
    if operator.kind != "resize":
        others = [applied(operator, before, seed=seed).images for seed in range(8, 16)]
        assert not all(torch.equal(first.images, other) for other in others)


def test_a_generator_of_torch_serves_as_well():
    pipeline = Augmentation(operators=(*MOVING[:4], *GREY))
    runs = [pipeline.apply(batch(), torch.Generator().manual_seed(3)).images for _ in range(2)]
    assert torch.equal(*runs)
    assert runs[0].isfinite().all()


def test_each_image_gets_its_own_draw():
    alike = Batch(batch(number=1).images.expand(4, -1, -1, -1))
    for operator in (Contrast(), Jitter(), Blur(sigma_px=(0.5, 2)), Rotate(), Zoom()):
        images = applied(operator, alike).images
        assert len({tuple(image.flatten().tolist()) for image in images}) == 4


def test_a_pipeline_is_written_down_and_read_back():
    pipeline = Augmentation(operators=(*MOVING, *GREY))
    assert Augmentation.model_validate_json(pipeline.model_dump_json()) == pipeline
    with pytest.raises(ValidationError, match="kind"):
        Augmentation.model_validate({"operators": [{"kind": "teleport"}]})


@pytest.mark.parametrize(
    ("operator", "values"),
    [
        (Rotate, {"degrees": (10, -10)}),
        (Zoom, {"factor": (0, 1)}),
        (GaussianNoise, {"sigma": (-0.1, 0.1)}),
        (Flip, {"axis": "z"}),
        (SaltPepper, {"salt": 1.5}),
        (Crop, {"height_px": 0, "width_px": 4}),
        (Blur, {"sigma": (0, 1)}),
    ],
)
def test_configurations_that_make_no_sense_are_refused(operator, values):
    with pytest.raises(ValidationError):
        operator(**values)
