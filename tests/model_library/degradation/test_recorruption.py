"""Risk without truth agrees with the error against planted truth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage.restoration import denoise_tv_chambolle

from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.degradation.recorruption import (
    Recorrupted,
    added_noise,
    recorrupt,
    repeat_risk,
)
from model_library.errors import ImageError, RecipeError
from model_library.specimens import SpecimenKind, render

SIGMAS = (0.5, 0.8, 1.2, 2.0, 3.0)
GAIN, READ = 4.0, 8.0


@pytest.fixture(scope="module")
def planted(plant):
    """Per kind: clean and acquired images in counts."""
    pairs = {}
    for number, kind in enumerate(SpecimenKind):
        rng = np.random.default_rng(number)
        clean = [120 * render(kind, (256, 256), rng).intensity + 40 for _ in range(6)]
        pairs[kind] = (clean, [plant(image, GAIN, READ, rng) for image in clean])
    return pairs


def denoise(pixels, sigma):
    return ndimage.gaussian_filter(pixels, sigma)


def risks_and_errors(clean, acquired, noise, split, method):
    """Means over images, per method: risk less noise variance, and true squared error."""
    risks, errors = np.zeros(len(SIGMAS)), np.zeros(len(SIGMAS))
    for seed, (truth, image) in enumerate(zip(clean, acquired, strict=True)):
        pair = split(image, noise, np.random.default_rng(seed))
        own = float(np.mean(GAIN * truth + READ**2))
        for index, sigma in enumerate(SIGMAS):
            prediction = method(pair.input, sigma)
            risks[index] += (repeat_risk(prediction, pair) - own) / len(clean)
            errors[index] += float(np.mean((prediction - truth) ** 2)) / len(clean)
    return risks, errors


@pytest.mark.parametrize("kind", SpecimenKind)
def test_risk_less_noise_variance_is_the_true_error(kind, planted):
    clean, acquired = planted[kind]
    risks, errors = risks_and_errors(clean, acquired, NoiseModel(GAIN, READ**2), recorrupt, denoise)
    np.testing.assert_allclose(risks, errors, rtol=0.06, atol=6)


@pytest.mark.parametrize("kind", SpecimenKind)
def test_with_the_noise_estimated_from_the_images_it_ranks_methods_as_truth_does(kind, planted):
    clean, acquired = planted[kind]
    risks, errors = risks_and_errors(clean, acquired, estimate_noise(acquired), recorrupt, denoise)
    apart = np.abs(errors[:, None] - errors[None, :]) > 0.02 * GAIN * 100
    same = np.sign(risks[:, None] - risks[None, :]) == np.sign(errors[:, None] - errors[None, :])
    assert same[apart].all()


@pytest.mark.parametrize("kind", ["cells", "precipitates", "atoms"])
def test_a_super_resolved_result_is_judged_at_the_sampling_of_the_instrument(kind, planted):
    clean, acquired = planted[SpecimenKind(kind)]

    def enlarge(pixels, sigma):
        return np.repeat(np.repeat(denoise(pixels, sigma), 2, axis=0), 2, axis=1)

    plain, _ = risks_and_errors(clean, acquired, NoiseModel(GAIN, READ**2), recorrupt, denoise)
    enlarged = [
        np.mean(
            [
                repeat_risk(enlarge(pair.input, sigma), pair) - float(np.mean(GAIN * truth + READ**2))
                for pair, truth in (
                    (recorrupt(image, NoiseModel(GAIN, READ**2), np.random.default_rng(seed)), truth)
                    for seed, (truth, image) in enumerate(zip(clean, acquired, strict=True))
                )
            ]
        )
        for sigma in SIGMAS
    ]
    np.testing.assert_allclose(enlarged, plain, rtol=1e-3, atol=1e-2)


def test_the_noise_of_input_and_target_is_uncorrelated_and_as_strong_as_stated():
    rng = np.random.default_rng(0)
    truth = np.full((600, 600), 100, np.float32)
    acquired = truth + rng.normal(0, 20, truth.shape).astype(np.float32)
    pair = recorrupt(acquired, NoiseModel(0, 400), rng, strength=0.5)
    assert np.corrcoef(pair.input.ravel(), pair.target.ravel())[0, 1] == pytest.approx(0, abs=0.01)
    assert pair.input.var() == pytest.approx(400 * 1.25, rel=0.02)
    assert pair.target.var() == pytest.approx(400 * 5, rel=0.02)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), strength=st.floats(0.1, 2))
def test_same_seed_same_split_and_input_and_target_recover_the_acquired_image(seed, strength):
    acquired = np.random.default_rng(1).uniform(0, 255, (24, 31)).astype(np.float32)
    first, second = (
        recorrupt(acquired, NoiseModel(1, 9), np.random.default_rng(seed), strength=strength)
        for _ in range(2)
    )
    assert first.input.tobytes() == second.input.tobytes()
    weight = 1 / (1 + strength**2)
    np.testing.assert_allclose(weight * first.input + (1 - weight) * first.target, acquired, atol=0.02)


def test_a_prediction_with_nan_has_no_risk():
    pair = recorrupt(np.ones((8, 8), np.float32), NoiseModel(1, 1), np.random.default_rng(0))
    assert np.isnan(repeat_risk(np.full((8, 8), np.nan, np.float32), pair))


def test_refusals():
    pixels, noise, rng = np.ones((8, 8), np.float32), NoiseModel(1, 1), np.random.default_rng(0)
    with pytest.raises(RecipeError, match="strength"):
        recorrupt(pixels, noise, rng, strength=0)
    with pytest.raises(ImageError, match="prediction"):
        repeat_risk(np.ones((4, 4), np.float32), recorrupt(pixels, noise, rng))


MANY_METHODS = {
    "Gaussian 0.6": lambda pixels: ndimage.gaussian_filter(pixels, 0.6),
    "Gaussian 1.5": lambda pixels: ndimage.gaussian_filter(pixels, 1.5),
    "Gaussian 4": lambda pixels: ndimage.gaussian_filter(pixels, 4.0),
    "median 3": lambda pixels: ndimage.median_filter(pixels, 3),
    "median 5": lambda pixels: ndimage.median_filter(pixels, 5),
    "total variation": lambda pixels: pixels.std() * denoise_tv_chambolle(pixels / pixels.std(), 1.0),
}


@pytest.mark.parametrize("dose", [0.5, 1, 2, 4])
@pytest.mark.parametrize("kind", ["cells", "particles"])
def test_at_a_few_electrons_per_pixel_it_ranks_methods_as_truth_does(kind, dose):
    rng = np.random.default_rng(0)
    clean = [0.2 + 0.8 * render(SpecimenKind(kind), (256, 256), rng).intensity for _ in range(4)]
    acquired = [(100 * rng.poisson(dose * image)).astype(np.float32) for image in clean]
    noise = estimate_noise(acquired)
    risks, errors = np.zeros(len(MANY_METHODS)), np.zeros(len(MANY_METHODS))
    for seed, (image, truth) in enumerate(zip(acquired, clean, strict=True)):
        pair = recorrupt(image, noise, np.random.default_rng(seed))
        predictions = [method(pair.input).astype(np.float32) for method in MANY_METHODS.values()]
        risks += [repeat_risk(prediction, pair) for prediction in predictions]
        errors += [float(np.mean((prediction - 100 * dose * truth) ** 2)) for prediction in predictions]
    own = sum(100**2 * dose * float(image.mean()) for image in clean)
    apart = np.abs(errors[:, None] - errors[None, :]) > 0.1 * own
    same = np.sign(risks[:, None] - risks[None, :]) == np.sign(errors[:, None] - errors[None, :])
    assert same[apart].all()
    assert apart.any()


def exploiting_skew(pixels):
    """Smooth, and add what a network can learn from the skewness of shot noise: the squared residual."""
    smooth = ndimage.gaussian_filter(pixels, 2.0)
    return smooth + 0.04 * ((pixels - smooth) ** 2 - 10.0 * smooth) / 10.0


def gaussian_recorruption(pixels, noise, rng, strength=0.5):
    """Recorruption as first published: the fresh noise is Gaussian whatever the acquisition's is."""
    spread = np.sqrt(noise.variance(ndimage.gaussian_filter(pixels, 1.5)))
    fresh = (spread * rng.standard_normal(pixels.shape)).astype(np.float32)
    return Recorrupted(pixels + strength * fresh, pixels - fresh / strength, pixels, fresh, strength)


@pytest.mark.parametrize(("split", "fair"), [(recorrupt, True), (gaussian_recorruption, False)])
def test_a_method_that_exploits_the_skewness_of_shot_noise_is_not_flattered(split, fair):
    gain = 10.0
    gains_by_risk, gains_by_truth = [], []
    for seed in range(6):
        rng = np.random.default_rng(seed)
        truth = (60 * render(SpecimenKind.CELLS, (256, 256), rng).intensity + 20).astype(np.float32)
        acquired = (gain * rng.poisson(truth / gain)).astype(np.float32)
        pair = split(acquired, NoiseModel(gain, 0.0), rng)
        plain, cunning = ndimage.gaussian_filter(pair.input, 2.0), exploiting_skew(pair.input)
        gains_by_risk.append(repeat_risk(plain, pair) - repeat_risk(cunning, pair))
        gains_by_truth.append(float(np.mean((plain - truth) ** 2) - np.mean((cunning - truth) ** 2)))
    error = np.mean(gains_by_risk) - np.mean(gains_by_truth)
    noise = np.std(np.subtract(gains_by_risk, gains_by_truth)) / np.sqrt(6)
    assert bool(abs(error) < 4 * noise + 0.5) is fair, (error, noise)


def test_added_noise_has_the_variance_and_the_skewness_of_shot_noise():
    mean = np.full((800, 800), 50.0, dtype=np.float32)
    drawn = added_noise(mean, NoiseModel(10.0, 0.0), 1.0, np.random.default_rng(0))
    assert np.mean(drawn) == pytest.approx(0, abs=0.15)
    assert np.var(drawn) == pytest.approx(500, rel=0.01)
    assert np.mean(drawn**3) == pytest.approx(10.0**2 * 50, rel=0.1)
