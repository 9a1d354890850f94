"""Planted gain, noise and blur come back, from pairs and from images alone."""

from functools import cache

import numpy as np
import pytest

from model_library.degradation.fitting import bits_of, fit_images
from model_library.degradation.operators import (
    Digitise,
    Downsample,
    GaussianBlur,
    ReadNoise,
    ShotNoise,
)
from model_library.degradation.pair_fitting import ImagePair, fit_pairs
from model_library.degradation.recipe import Recipe
from model_library.errors import NonFinitePixels, RecipeError
from model_library.images.readers import read_micrograph
from model_library.specimens import SpecimenKind, render

KINDS = ("cells", "precipitates", "particles")
REAL = {
    "coating oxide": ("em_mat_coating_oxide_cracks_nasa/images/*.png", 3),
    "SEM axons": ("em_bio_sem_axons_ads/sub-rat[56]/micr/*.png", 2),
    "FIB-SEM": ("em_bio_fibsem_fib25/validation_slices_520/*.png", 6),
}
EIGHT_BITS, SIXTEEN_BITS = (8, 70.0, 50.0), (16, 20000.0, 9000.0)
BLUR = GaussianBlur(sigma_px=1.2)
# electrons per pixel at unit intensity, (bits, counts at unit intensity, offset)
GRID = [(4, EIGHT_BITS), (4, SIXTEEN_BITS), (12, SIXTEEN_BITS), (40, EIGHT_BITS), (120, SIXTEEN_BITS)]


@cache
def specimens(kind, count=4, side=288):
    rng = np.random.default_rng(0)
    return [0.05 + 0.9 * render(SpecimenKind(kind), (side, side), rng).intensity for _ in range(count)]


def micrographs(folder, source):
    """Real images in [0, 1], binned 2 x 2 so that little of their own noise is left."""
    pattern, count = REAL[source]
    images = []
    for path in sorted(folder.glob(pattern))[:count]:
        grey = read_micrograph(path).grey / np.float32(255)
        rows, columns = (size // 2 for size in grey.shape)
        images.append(grey[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3)))
    return images


def degraded(clean, recipe):
    return [recipe.apply(image, np.random.default_rng(seed)) for seed, image in enumerate(clean)]


def paired(images, clean):
    together = enumerate(zip(images, clean, strict=True))
    return [ImagePair(f"{number}.tif", image, partner) for number, (image, partner) in together]


def planted(dose, detector, sigma, *optics):
    bits, white, offset = detector
    noise = (ShotNoise(electrons_per_pixel=dose), ReadNoise(sigma=sigma))
    return Recipe(operators=(*optics, *noise, Digitise(bits=bits, gain=white, offset=offset)))


def balanced(dose):
    """As much read noise as there is shot noise at a quarter of unit intensity."""
    return 0.5 / np.sqrt(dose)


def assert_found(found, dose, detector, sigma):
    _, white, offset = detector
    assert found.gain_counts_per_electron == pytest.approx(white / dose, rel=0.1)
    assert found.read_sigma_counts == pytest.approx(sigma * white, rel=0.1)
    assert found.offset_counts == pytest.approx(offset, abs=0.02 * white)
    assert found.electrons_per_pixel == pytest.approx(dose, rel=0.1)
    assert found.full_scale_counts == pytest.approx(white, rel=0.05)


@pytest.mark.parametrize("kind", KINDS)
def test_pairs_tell_gain_noise_offset_and_blur_of_simulated_specimens(kind):
    clean = specimens(kind)
    for dose, detector in GRID:
        recipe = planted(dose, detector, balanced(dose), BLUR)
        found = fit_pairs(paired(degraded(clean, recipe), clean))
        assert_found(found, dose, detector, balanced(dose))
        assert found.blur_sigma_px == pytest.approx(1.2, rel=0.1), dose
        assert abs(found.neighbour_correlation) < 0.02


@pytest.mark.parametrize("source", REAL)
def test_pairs_tell_gain_noise_offset_and_blur_of_real_micrographs(shared_data, source):
    clean = micrographs(shared_data, source)
    for dose in (4, 40):
        recipe = planted(dose, SIXTEEN_BITS, balanced(dose), BLUR)
        found = fit_pairs(paired(degraded(clean, recipe), clean))
        assert_found(found, dose, SIXTEEN_BITS, balanced(dose))
        assert found.blur_sigma_px == pytest.approx(1.2, rel=0.1)


@pytest.mark.parametrize("scale", [2, 3])
def test_pairs_of_two_sizes_tell_the_down_sampling(scale):
    clean = specimens("particles", count=6, side=450)
    recipe = planted(40, SIXTEEN_BITS, balanced(40), Downsample(scale=scale))
    found = fit_pairs(paired(degraded(clean, recipe), clean))
    assert found.scale == scale
    assert_found(found, 40, SIXTEEN_BITS, balanced(40))
    assert found.blur_sigma_px < 0.4
    assert found.recipe().scale == scale


@pytest.mark.parametrize("kind", KINDS)
def test_images_alone_tell_gain_and_noise_where_a_dark_frame_told_the_offset(kind):
    clean = specimens(kind)
    for dose in (4, 12, 40, 120):
        sigma = balanced(dose)
        images = degraded(clean, planted(dose, SIXTEEN_BITS, sigma))
        found = fit_images(images, offset=SIXTEEN_BITS[2])
        assert found.gain_counts_per_electron == pytest.approx(SIXTEEN_BITS[1] / dose, rel=0.1), dose
        assert found.read_sigma_counts == pytest.approx(sigma * SIXTEEN_BITS[1], rel=0.1), dose
        assert found.offset_from == "given"


@pytest.mark.parametrize("source", REAL)
def test_images_alone_tell_gain_and_noise_of_real_micrographs(shared_data, source):
    clean = micrographs(shared_data, source)
    for dose in (4, 12):
        images = degraded(clean, planted(dose, SIXTEEN_BITS, balanced(dose)))
        found = fit_images(images, offset=SIXTEEN_BITS[2])
        assert found.gain_counts_per_electron == pytest.approx(SIXTEEN_BITS[1] / dose, rel=0.1), dose
        assert found.read_sigma_counts == pytest.approx(balanced(dose) * SIXTEEN_BITS[1], rel=0.1), dose


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_dark_frame_skewness_tells_the_offset_at_low_dose(kind):
    recipe = planted(5, (16, 20000.0, 20000.0), balanced(5))
    found = fit_images(degraded(specimens(kind, count=8), recipe))
    assert found.offset_from == "skewness"
    assert found.gain_counts_per_electron == pytest.approx(20000 / 5, rel=0.1)
    assert found.offset_counts == pytest.approx(20000, abs=0.05 * 20000)
    assert found.read_sigma_counts == pytest.approx(balanced(5) * 20000, rel=0.1)


@pytest.mark.parametrize("offset", [0.0, 500.0])
def test_empty_pixels_tell_the_offset_where_single_electrons_are_seen(offset):
    shot = Recipe(operators=(ShotNoise(electrons_per_pixel=3), Digitise(bits=16, gain=3000, offset=offset)))
    found = fit_images(degraded(specimens("cells"), shot))
    assert found.offset_from == "empty pixels"
    assert found.offset_counts == offset
    assert found.gain_counts_per_electron == pytest.approx(1000, rel=0.05)
    assert found.read_sigma_counts < 60


def test_what_cannot_be_told_is_called_assumed_and_the_noise_is_right_all_the_same():
    dose, white, offset = 400, 20000.0, 3000.0
    sigma = 0.03
    found = fit_images(degraded(specimens("cells"), planted(dose, (16, white, offset), sigma)))
    assert found.offset_from == "assumed"
    signal = found.level_counts - offset
    expected = np.sqrt(white / dose * signal + (sigma * white) ** 2)
    assert found.noise_sigma_counts == pytest.approx(expected, rel=0.05)


def test_the_fitted_recipe_makes_images_with_the_noise_that_was_seen():
    clean = specimens("precipitates")
    images = degraded(clean, planted(20, SIXTEEN_BITS, 0.1, BLUR))
    found = fit_pairs(paired(images, clean))
    again = fit_pairs(paired(degraded(clean, found.recipe()), clean))
    assert again.gain_counts_per_electron == pytest.approx(found.gain_counts_per_electron, rel=0.05)
    assert again.read_sigma_counts == pytest.approx(found.read_sigma_counts, rel=0.05)
    assert again.blur_sigma_px == pytest.approx(found.blur_sigma_px, rel=0.05)
    assert again.bits == found.bits == 16


def test_images_of_fractions_get_a_recipe_that_does_not_round():
    images = [image / 255 for image in degraded(specimens("cells"), planted(20, EIGHT_BITS, 0.1))]
    found = fit_images(images)
    assert found.bits is None
    assert found.recipe().operators[-1].kind == "gain_offset"


def test_images_without_shot_noise_get_a_recipe_without():
    rng = np.random.default_rng(0)
    slope = np.linspace(2000, 30000, 512, dtype=np.float32)[None].repeat(512, axis=0)
    found = fit_pairs(
        paired([np.rint(slope + rng.normal(0, 50, slope.shape)).astype(np.float32)], [slope / 30000])
    )
    assert found.read_sigma_counts == pytest.approx(50, rel=0.05)
    assert found.gain_counts_per_electron * 30000 < 0.1 * 50**2


def test_bits_are_the_fewest_that_hold_the_counts():
    assert [bits_of([np.array([[0, top]], np.float32)]) for top in (255, 256, 4096, 20000)] == [8, 12, 14, 16]
    assert bits_of([np.array([[-1, 5]], np.float32)]) is None
    assert bits_of([np.array([[0, 70000]], np.float32)]) is None


def test_refusals_name_file_and_remedy():
    clean = specimens("cells", count=2)
    images = degraded(clean, planted(20, SIXTEEN_BITS, 0.1))
    with pytest.raises(RecipeError, match="add images"):
        fit_images([images[0][:100, :100]])
    with pytest.raises(RecipeError, match="add images"):
        fit_pairs(paired([images[0][:64, :64]], [clean[0][:64, :64]]))
    with pytest.raises(RecipeError, match="none"):
        fit_pairs([])
    with pytest.raises(RecipeError, match=r"1\.tif.*crop"):
        fit_pairs(paired(images, [clean[0], clean[1][:200]]))
    with pytest.raises(RecipeError, match="same file name"):
        fit_pairs(paired(images, [1 - image for image in clean]))
    with pytest.raises(RecipeError, match="register"):
        fit_pairs(paired(images, [np.roll(image, 3, axis=1) for image in clean]))
    spoilt = clean[1].copy()
    spoilt[3, 3] = np.nan
    with pytest.raises(NonFinitePixels, match=r"1\.tif"):
        fit_pairs(paired(images, [clean[0], spoilt]))
    with pytest.raises(NonFinitePixels):
        fit_images([images[0], np.full((512, 512), np.nan, np.float32)])
    black = degraded(clean, planted(10, (16, 20000.0, 0.0), 0.4))
    with pytest.raises(RecipeError, match="black level"):
        fit_images(black)
    with pytest.raises(RecipeError, match="black level"):
        fit_pairs(paired(black, clean))
