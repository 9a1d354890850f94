"""Planted noise is found again: on every simulated specimen, and on real micrographs."""

import numpy as np
import pytest

from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.images.readers import read_micrograph
from model_library.specimens import SpecimenKind, render

# (gain in counts per electron, read deviation in counts), for grey values of 35 to 155 counts
PLANTED = {
    "shot": (6.0, 3.0),
    "low dose": (19.0, 5.0),
    "mixed": (1.5, 8.0),
    "read": (0.4, 15.0),
    "read only": (0.0, 10.0),
}
REAL = {
    "coating oxide": ["em_mat_coating_oxide_cracks_nasa/images/*.png", 4],
    "SEM axons": ["em_bio_sem_axons_ads/sub-rat[56]/micr/*.png", 2],
    "FIB-SEM": ["em_bio_fibsem_fib25/validation_slices_520/*.png", 8],
}


def clean_specimens(kind, seed=0, count=5, side=320):
    rng = np.random.default_rng(seed)
    return [120 * render(kind, (side, side), rng).intensity + 35 for _ in range(count)]


def clean_micrographs(folder, source):
    """Real images, binned 2 x 2 so that little of their own noise is left, in 40 to 193 counts."""
    pattern, count = REAL[source]
    images = []
    for path in sorted(folder.glob(pattern))[:count]:
        grey = read_micrograph(path).grey
        rows, columns = (size // 2 for size in grey.shape)
        blocks = grey[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2)
        images.append(0.6 * blocks.mean(axis=(1, 3)) + 40)
    return images


def deviation(noise, level):
    return float(np.sqrt(noise.variance(np.array([level], np.float32))[0]))


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("kind", SpecimenKind)
def test_planted_noise_is_recovered_on_simulated_specimens(kind, planted, plant):
    gain, read_sigma = PLANTED[planted]
    clean = clean_specimens(kind)
    found = estimate_noise(
        [plant(image, gain, read_sigma, np.random.default_rng(i)) for i, image in enumerate(clean)]
    )
    middle = float(np.median(clean))
    assert deviation(found, middle) == pytest.approx(np.sqrt(gain * middle + read_sigma**2), rel=0.03)
    if planted in ("shot", "low dose"):
        assert found.gain == pytest.approx(gain, rel=0.2 if kind == "atoms" else 0.1)


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("source", REAL)
def test_planted_noise_is_recovered_on_real_micrographs(shared_data, source, planted, plant):
    """Expected is what was planted plus the little noise that the binned images have of their own."""
    gain, read_sigma = PLANTED[planted]
    clean = clean_micrographs(shared_data, source)
    own = estimate_noise(clean)
    found = estimate_noise(
        [plant(image, gain, read_sigma, np.random.default_rng(i)) for i, image in enumerate(clean)]
    )
    middle = float(np.median(np.concatenate([image.ravel() for image in clean])))
    total = np.sqrt(gain * middle + read_sigma**2 + deviation(own, middle) ** 2)
    assert deviation(own, middle) < 0.5 * total
    assert deviation(found, middle) == pytest.approx(total, rel=0.05)
    if planted == "shot":
        assert found.gain == pytest.approx(gain, rel=0.1)


def test_an_offset_shows_as_a_negative_variance_at_zero_counts(plant):
    clean = clean_specimens("cells")
    images = [
        plant(100 * c, 200.0, 50.0, np.random.default_rng(i), offset=4000, top=65535)
        for i, c in enumerate(clean)
    ]
    found = estimate_noise(images)
    assert found.gain == pytest.approx(200, rel=0.1)
    assert found.read_variance < 0
    middle = 100 * float(np.median(clean))
    assert deviation(found, middle + 4000) == pytest.approx(np.sqrt(200 * middle + 50**2), rel=0.03)


def test_saturated_regions_do_not_count(plant):
    rng = np.random.default_rng(2)
    clean = [np.where(c > np.quantile(c, 0.7), 400, c) for c in clean_specimens("precipitates")]
    found = estimate_noise([plant(image, 2.0, 6.0, rng) for image in clean])
    assert deviation(found, 100) == pytest.approx(np.sqrt(200 + 36), rel=0.05)


def test_a_constant_border_does_not_count(plant):
    images = [
        plant(c, 2.0, 6.0, np.random.default_rng(i)) for i, c in enumerate(clean_specimens("particles"))
    ]
    framed = [np.pad(image, 40) for image in images]
    assert deviation(estimate_noise(framed), 90) == pytest.approx(np.sqrt(180 + 36), rel=0.05)


def test_dead_pixels_do_not_count(plant):
    rng = np.random.default_rng(4)
    images = [plant(c, 2.0, 6.0, rng) for c in clean_specimens("cells")]
    for image in images:
        image[rng.random(image.shape) < 0.0005] = 250
    assert deviation(estimate_noise(images), 90) == pytest.approx(np.sqrt(180 + 36), rel=0.05)


def test_rounding_to_counts_is_part_of_the_noise():
    rng = np.random.default_rng(0)
    slope = np.linspace(20, 60, 256, dtype=np.float32)[None].repeat(256, axis=0)
    images = [np.rint(slope + rng.normal(0, 0.5, slope.shape)).astype(np.float32) for _ in range(4)]
    assert deviation(estimate_noise(images), 40) == pytest.approx(np.sqrt(0.25 + 1 / 12), rel=0.05)


def test_flat_images_have_no_noise():
    assert estimate_noise([np.full((64, 64), 17, np.float32)]) == NoiseModel(gain=0, read_variance=0)


def test_does_not_depend_on_the_order_of_images(plant):
    images = [
        plant(c, 2.0, 6.0, np.random.default_rng(i)) for i, c in enumerate(clean_specimens("cells", count=3))
    ]
    forwards, backwards = estimate_noise(images), estimate_noise(images[::-1])
    assert forwards.gain == pytest.approx(backwards.gain, rel=1e-2)
    assert deviation(forwards, 90) == pytest.approx(deviation(backwards, 90), rel=1e-3)


def test_variance_is_never_negative():
    variance = NoiseModel(gain=2, read_variance=-50).variance(np.array([[0, 25, 50]], np.float32))
    np.testing.assert_array_equal(variance, np.array([[0, 0, 50]], np.float32))


def test_refusals():
    with pytest.raises(UnsupportedImage, match="32 x 32"):
        estimate_noise([np.zeros((16, 300), np.float32)])
    with pytest.raises(UnsupportedImage):
        estimate_noise([])
    with pytest.raises(NonFinitePixels):
        estimate_noise([np.full((64, 64), np.nan, np.float32)])
