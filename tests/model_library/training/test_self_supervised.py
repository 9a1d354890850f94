"""Denoising without clean images: what is hidden, what is asked for, and that it helps."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from model_library.errors import NonFinitePixels, RecipeError
from model_library.images.intensity import Scaling
from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.specimens import SpecimenKind, render
from model_library.training.fit import FitConfig, fit
from model_library.training.losses import loss_of
from model_library.training.self_supervised import BlindSpotPairs, RepeatedPairs, blind_spots


def specimens(seed, count=6, side=128):
    rng = np.random.default_rng(seed)
    return [render(SpecimenKind.CELLS, (side, side), rng).intensity for _ in range(count)]


def unit_scale(image):
    return torch.from_numpy(Scaling.of(image).apply(image))


def frames(clean, seed, dose=12):
    rng = np.random.default_rng(seed)
    return [(100 * rng.poisson(dose * image) / dose + 40).astype(np.float32) for image in clean]


@settings(max_examples=40, deadline=None)
@given(spacing=st.integers(2, 9), side=st.integers(9, 40), seed=st.integers(0, 2**32 - 1))
def test_one_pixel_is_hidden_in_every_whole_square(spacing, side, seed):
    number, y, x = blind_spots((2, side, side), spacing, np.random.default_rng(seed))
    hidden = np.zeros((2, side, side), int)
    np.add.at(hidden, (number, y, x), 1)
    whole = side // spacing * spacing
    squares = hidden[:, :whole, :whole].reshape(2, side // spacing, spacing, side // spacing, spacing)
    assert (squares.sum(axis=(2, 4)) == 1).all()


@pytest.mark.parametrize("filling", ["neighbour", "anywhere"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), spacing=st.integers(3, 6))
def test_a_target_is_known_exactly_where_the_input_does_not_show_it(filling, seed, spacing):
    # All grey values differ, so that a value betrays where it comes from.
    image = np.random.default_rng(0).permutation(40 * 44).reshape(40, 44).astype(np.float32)
    source = BlindSpotPairs([image], spacing_px=spacing, filling=filling)
    inputs, targets = source.batch(5, 24, np.random.default_rng(seed))
    assert inputs.shape == targets.shape == (5, 1, 24, 24)
    known = ~targets.isnan()
    assert 0.5 / spacing**2 < float(known.float().mean()) < 2 / spacing**2
    for patch, target, where in zip(inputs, targets, known, strict=True):
        wanted = target[where]
        assert filling == "anywhere" or not torch.isin(wanted, patch).any()
        assert not (wanted == patch[where]).all()
        assert torch.isin(patch[where], unit_scale(image)).all()


def test_the_same_chance_draws_the_same_batch():
    source = BlindSpotPairs(frames(specimens(0, 2), 0))
    first, second, other = (source.batch(4, 32, np.random.default_rng(seed)) for seed in (3, 3, 4))
    for one, two, three in zip(first, second, other, strict=True):
        assert torch.equal(one.nan_to_num(), two.nan_to_num())
        assert not torch.equal(one.nan_to_num(), three.nan_to_num())


def test_the_loss_counts_hidden_pixels_alone():
    inputs, targets = BlindSpotPairs(frames(specimens(0, 1), 0)).batch(2, 32, np.random.default_rng(0))
    known = ~targets.isnan()
    prediction = torch.where(known, targets + 2, 1e6)
    assert float(loss_of("mse", prediction, targets)) == pytest.approx(4, rel=1e-4)
    assert float(loss_of("mse", inputs, targets)) > 0


def test_repeated_frames_are_input_and_target_and_never_the_same():
    rng = np.random.default_rng(0)
    field = [np.full((32, 32), level, np.float32) + rng.random((32, 32), np.float32) for level in (0, 10, 20)]
    inputs, targets = RepeatedPairs([field]).batch(40, 16, np.random.default_rng(1))
    # On the input's own unit scale another frame lies about 10 counts away.
    assert ((targets - inputs).abs().amin(dim=(1, 2, 3)) > 5).all()


def psnr(found, truth):
    return float(10 * np.log10(np.ptp(truth) ** 2 / np.mean((found - truth) ** 2)))


def sources():
    clean = specimens(0)
    single, repeated = frames(clean, 0), [frames(clean, seed) for seed in (0, 1)]
    return {
        "Noise2Void": BlindSpotPairs(single),
        "Noise2Self": BlindSpotPairs(single, spacing_px=4, filling="anywhere"),
        "Noise2Noise": RepeatedPairs(list(zip(*repeated, strict=True))),
    }


@pytest.mark.parametrize("name", ["Noise2Void", "Noise2Self", "Noise2Noise"])
def test_a_network_that_saw_no_clean_image_denoises_frames_that_it_never_saw(name):
    config = FitConfig(steps=250, batch=8, patch_px=32, learning_rate=3e-3, ema=0.97, seed=1, loss="mse")
    torch.manual_seed(0)
    trained = fit(build(UNetConfig(widths=(12, 24))), sources()[name], config).module
    gained = []
    for image, noisy in zip(clean := specimens(9, 3), frames(clean, 9), strict=True):
        scaling, truth = Scaling.of(noisy), 100 * image + 40
        with torch.no_grad():
            unit = trained(torch.from_numpy(scaling.apply(noisy))[None, None])[0, 0].numpy()
        gained.append(psnr(scaling.offset + scaling.gain * unit, truth) - psnr(noisy, truth))
    assert min(gained) > 3, gained


def test_refusals_name_the_remedy():
    image = np.ones((40, 40), np.float32)
    with pytest.raises(RecipeError, match="give frames"):
        BlindSpotPairs([])
    with pytest.raises(NonFinitePixels, match="frame 2"):
        BlindSpotPairs([image, np.full_like(image, np.nan)])
    with pytest.raises(RecipeError, match="2 and 5 are usual"):
        BlindSpotPairs([image], spacing_px=2)
    with pytest.raises(RecipeError, match=r"field 2.*blind spots"):
        RepeatedPairs([[image, image], [image]])
    with pytest.raises(RecipeError, match="field 1"):
        RepeatedPairs([[image, image[:30]]])
    with pytest.raises(RecipeError, match="smaller patch"):
        BlindSpotPairs([image]).batch(1, 64, np.random.default_rng(0))
