import numpy as np
import pytest
import torch
from pydantic import ValidationError

from model_library.degradation.noise import NoiseModel
from model_library.degradation.operators import block_mean
from model_library.errors import RecipeError
from model_library.specimens import SpecimenKind, render
from model_library.training.losses import loss_of
from model_library.training.pairs import (
    DegradedPairs,
    LabelledPairs,
    Pair,
    PairSource,
    RecorruptedPairs,
    cut_batch,
)
from model_library.training.variations import Variations

RNG_SEED = 4


def specimen(side: int = 96, seed: int = 0) -> np.ndarray:
    return render(SpecimenKind.CELLS, (side, side), np.random.default_rng(seed)).intensity


def draw(source: PairSource, size: int = 6, patch: int = 24) -> tuple[torch.Tensor, torch.Tensor]:
    return source.batch(size, patch, np.random.default_rng(RNG_SEED))


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_targets_are_scale_times_larger_than_inputs(scale: int):
    inputs, targets = draw(DegradedPairs([specimen()], Variations(scale=scale, electrons_per_pixel=(50, 90))))
    assert inputs.shape == (6, 1, 24, 24)
    assert targets.shape == (6, 1, 24 * scale, 24 * scale)
    assert inputs.dtype == targets.dtype == torch.float32


def test_without_noise_the_input_is_the_target():
    inputs, targets = draw(DegradedPairs([specimen()], Variations()), size=16)
    # Half of the detectors round to 8 bits.
    assert float((inputs - targets).abs().max()) < 0.02


def test_without_noise_a_coarse_input_is_the_block_mean_of_the_target():
    inputs, targets = draw(DegradedPairs([specimen()], Variations(scale=2)), size=16)
    for coarse, fine in zip(inputs.numpy(), targets.numpy(), strict=True):
        assert np.abs(block_mean(fine[0], 2) - coarse[0]).max() < 0.02


def test_the_same_seed_draws_the_same_batch_and_another_seed_another():
    source = DegradedPairs([specimen()], Variations(electrons_per_pixel=(5, 500), jitter_px=(0, 1)))
    first, again = draw(source), draw(source)
    other = source.batch(6, 24, np.random.default_rng(RNG_SEED + 1))
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_charging_strikes_a_tenth_of_the_rows_and_leaves_the_target_alone():
    flat = np.full((400, 64), 0.5, dtype=np.float32)
    acquired, target = Variations(charging_sigma=(0.3, 0.3)).acquire(flat, np.random.default_rng(2))
    struck = np.ptp(acquired, axis=1) > 0
    assert 0.03 < struck.mean() < 0.2
    assert np.ptp(target) == 0


def test_intensities_are_scaled_as_at_inference_by_the_whole_degraded_image():
    image = specimen()
    variations = Variations(read_sigma=(0.1, 0.1))
    inputs, _ = DegradedPairs([image], variations).batch(400, 32, np.random.default_rng(0))
    low, high = np.percentile(inputs.numpy(), (1, 99))
    assert abs(low) < 0.1
    assert abs(high - 1) < 0.1


def test_recorrupted_targets_have_the_mean_of_the_acquired_image():
    rng = np.random.default_rng(0)
    flat = (100 + rng.normal(0, 10, (64, 64))).astype(np.float32)
    source = RecorruptedPairs([flat], NoiseModel(gain=0.0, read_variance=100.0))
    inputs, targets = source.batch(64, 48, np.random.default_rng(1))
    assert float(inputs.mean()) == pytest.approx(float(targets.mean()), abs=0.05)
    # The variances are (1 + a^2) and (1 + 1 / a^2) of the acquired one, with a = 0.5.
    assert float(targets.var() / inputs.var()) == pytest.approx(4, rel=0.15)


def test_noise_of_recorrupted_inputs_and_targets_is_independent():
    rng = np.random.default_rng(0)
    images = [(100 + rng.normal(0, 10, (64, 64))).astype(np.float32) for _ in range(8)]
    source = RecorruptedPairs(images, NoiseModel(gain=0.0, read_variance=100.0))
    inputs, targets = source.batch(64, 48, np.random.default_rng(1))
    assert abs(np.corrcoef(inputs.numpy().ravel(), targets.numpy().ravel())[0, 1]) < 0.03


def test_a_finer_prediction_is_held_against_an_acquired_target_after_binning():
    image = (specimen() * 200).astype(np.float32)
    inputs, targets = draw(RecorruptedPairs([image], NoiseModel(gain=0.5, read_variance=1.0)))
    enlarged = inputs.repeat_interleave(2, dim=-1).repeat_interleave(2, dim=-2)
    assert float(loss_of("mse", enlarged, targets)) == pytest.approx(float(loss_of("mse", inputs, targets)))


def test_labels_turn_with_their_image():
    image = specimen()
    labels = (image > 0.5).astype(np.float32)
    inputs, targets = draw(LabelledPairs([(image, labels)], Variations(gamma=(1, 1), contrast=(1, 1))))
    assert set(np.unique(targets.numpy())) == {0.0, 1.0}
    for patch, classes in zip(inputs.numpy(), targets.numpy(), strict=True):
        inside, outside = patch[classes == 1], patch[classes == 0]
        assert inside.min() >= outside.max() - 0.02 or inside.max() <= outside.min() + 0.02


def test_a_patch_larger_than_the_image_is_refused():
    with pytest.raises(RecipeError, match="smaller patch"):
        draw(DegradedPairs([specimen(48)], Variations(scale=2)), patch=32)


def test_all_eight_orientations_occur():
    image = np.arange(16, dtype=np.float32).reshape(4, 4)
    inputs, targets = cut_batch(lambda: Pair(image, image), 200, 4, 1, np.random.default_rng(0))
    assert torch.equal(inputs, targets)
    assert len({patch.tobytes() for patch in inputs.numpy()}) == 8


@pytest.mark.parametrize("bounds", [(0.0, 5.0), (5.0, 1.0), (-1.0, 1.0)])
def test_ranges_that_cannot_be_drawn_from_are_refused(bounds: tuple[float, float]):
    with pytest.raises(ValidationError):
        Variations(electrons_per_pixel=bounds)


def test_negatives_are_as_frequent_as_asked():
    image = np.linspace(0, 1, 64, dtype=np.float32)[None].repeat(8, axis=0)
    rng = np.random.default_rng(0)

    def falls(share: float) -> float:
        variations = Variations(inverted_share=share)
        styled = (variations.restyle(image, rng) for _ in range(200))
        return float(np.mean([one[0, 0] > one[0, -1] for one in styled]))

    assert (falls(0.0), falls(1.0)) == (0.0, 1.0)
    assert falls(0.25) == pytest.approx(0.25, abs=0.1)
