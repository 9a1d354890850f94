"""A few electrons per pixel, or noise cut at black: it is measured right, or refused."""

from functools import cache

import numpy as np
import pytest

from model_library.degradation.noise import estimate_noise
from model_library.degradation.piles import cut_share, find_dark_pixels, piles, solid_at
from model_library.errors import UnsupportedImage
from model_library.specimens import SpecimenKind, render

DOSES = (0.5, 1, 2, 4, 6, 8, 16, 64)


def eight_bit(offset):
    """As bright as 8 bits allow without clipping."""
    return lambda dose: ((230 - offset) / max(1, dose + 5 * dose**0.5), offset, 0.0, 255)


# dose -> counts per electron, offset, read deviation (counts), greatest count (None: float32, not rounded)
DETECTORS = {
    "8 bit": eight_bit(0),
    "8 bit, offset": eight_bit(20),
    "8 bit, counting": lambda dose: (1.0, 0.0, 0.0, 255),
    "16 bit": lambda dose: (200.0, 0.0, 0.0, 65535),
    "16 bit, offset": lambda dose: (200.0, 1000.0, 0.0, 65535),
    "16 bit, offset and read noise": lambda dose: (200.0, 1000.0, 50.0, 65535),
    "float": lambda dose: (1 / dose, 0.0, 0.0, None),
    "float, offset and read noise": lambda dose: (1 / dose, 3.0, 0.25 / dose, None),
}


@cache
def specimens(kind, count=4, side=256):
    rng = np.random.default_rng(0)
    return [0.2 + 0.8 * render(kind, (side, side), rng).intensity for _ in range(count)]


def expose(intensity, dose, detector, seed):
    """Count electrons, `dose` where the intensity is 1, and read them out."""
    rng = np.random.default_rng(seed)
    gain, offset, read, top = detector
    counts = gain * rng.poisson(dose * intensity) + offset + read * rng.standard_normal(intensity.shape)
    return (counts if top is None else np.clip(np.rint(counts), 0, top)).astype(np.float32)


def deviation_at(found, level):
    return float(np.sqrt(found.variance(np.array([level], np.float32))[0]))


@pytest.mark.parametrize("kind", ["cells", "particles"])
@pytest.mark.parametrize("name", DETECTORS)
def test_gain_and_deviation_are_right_at_every_dose(name, kind):
    clean = specimens(SpecimenKind(kind))
    middle = float(np.median(clean))
    for dose in DOSES:
        gain, offset, read, _ = detector = DETECTORS[name](dose)
        found = estimate_noise([expose(image, dose, detector, seed) for seed, image in enumerate(clean)])
        assert found.gain == pytest.approx(gain, rel=0.15), dose
        true = np.sqrt(gain**2 * dose * middle + read**2)
        assert deviation_at(found, gain * dose * middle + offset) == pytest.approx(true, rel=0.05), dose


@pytest.mark.parametrize("dose", [0.5, 2, 6])
def test_where_single_electrons_are_seen_black_is_zero_electrons(dose):
    images = [expose(image, dose, (200.0, 1000.0, 0.0, 65535), 3) for image in specimens(SpecimenKind.CELLS)]
    found = estimate_noise(images)
    assert deviation_at(found, 1000) == pytest.approx(0, abs=1)
    assert found.gain == pytest.approx(200, rel=0.05)


def test_a_dark_frame_around_the_image_does_not_count():
    detector = (20.0, 0.0, 0.0, 255)
    images = [expose(image, 2, detector, seed) for seed, image in enumerate(specimens(SpecimenKind.CELLS))]
    assert estimate_noise([np.pad(image, 40) for image in images]).gain == pytest.approx(20, rel=0.05)


def clipped(level, dose, seed, read=100.0):
    """Read noise about `level` read deviations, cut off at black."""
    rng = np.random.default_rng(seed)
    images = []
    for intensity in specimens(SpecimenKind.PARTICLES):
        signal = level * read * (rng.poisson(dose * intensity) / dose if dose else intensity)
        noisy = signal + read * rng.standard_normal(intensity.shape)
        images.append(np.clip(np.rint(noisy), 0, 65535).astype(np.float32))
    return images


@pytest.mark.parametrize("dose", [0, 1, 4])
@pytest.mark.parametrize("level", [0.3, 1.0, 2.0, 4.0])
def test_noise_that_is_cut_at_black_is_measured_as_it_is(level, dose):
    repeats = [clipped(level, dose, seed) for seed in range(12)]
    mean, spread = np.mean(repeats, axis=0), np.std(repeats, axis=0, ddof=1)
    found = estimate_noise(repeats[0])
    for share in (25, 50, 75):
        grey = np.percentile(mean, share)
        alike = np.abs(mean - grey) < 0.1 * np.ptp(mean)
        true = np.sqrt(np.mean(spread[alike] ** 2))
        assert deviation_at(found, float(mean[alike].mean())) == pytest.approx(true, rel=0.1), share


def test_electrons_that_overflow_the_detector_are_refused():
    detector = (150.0, 20.0, 0.0, 255)
    images = [expose(image, 3, detector, seed) for seed, image in enumerate(specimens(SpecimenKind.CELLS))]
    with pytest.raises(UnsupportedImage, match="255"):
        estimate_noise(images)


def test_dark_pixels_are_recognised_by_their_share_and_by_the_valley_beside_them():
    images = [expose(image, 2, (50.0, 10.0, 0.0, 65535), 1) for image in specimens(SpecimenKind.CELLS)]
    assert piles(images)[0] == 10
    found = find_dark_pixels(images, 10.0, 50.0)
    assert found is not None
    assert (found.level, found.blurred) == (10.0, False)
    assert find_dark_pixels(images, 10.0, 120.0) is None
    assert find_dark_pixels(images, 10.0, 0.0) is None
    noise = [expose(image, 2, (50.0, 0.0, 8.0, 65535), 1) for image in specimens(SpecimenKind.CELLS)]
    blurred = find_dark_pixels(noise, 0.0, 50.0)
    assert blurred is not None
    assert blurred.blurred


def test_a_solid_patch_is_marked_with_its_surroundings_and_scattered_pixels_are_not():
    image = np.ones((64, 64), np.float32)
    image[20:40, 20:40] = 0
    image[::7, 50] = 0
    marked = solid_at(image, 0.0)
    assert marked[19:41, 19:41].all()
    assert not marked[:, 50:].any()
    assert cut_share([image], [0.0]) < 0.1
    assert cut_share([np.zeros((64, 64), np.float32)], [0.0]) == 0


@pytest.mark.parametrize("dose", [0.02, 0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("kind", ["cells", "particles"])
def test_below_half_an_electron_the_estimate_is_right_or_refused(kind, dose):
    images = [
        expose(image, dose, (50.0, 0.0, 0.0, 65535), seed)
        for seed, image in enumerate(specimens(SpecimenKind(kind)))
    ]
    try:
        found = estimate_noise(images)
    except UnsupportedImage:
        assert dose < 0.3
    else:
        level = 50 * dose * float(np.median(specimens(SpecimenKind(kind))))
        assert deviation_at(found, level) == pytest.approx(np.sqrt(50 * level), rel=0.1)
        assert dose < 0.3 or found.gain == pytest.approx(50, rel=0.15)
