"""Pairs of input and reference made from an instrument's own images, by a recipe fitted to them."""

from collections.abc import Sequence

import numpy as np
from scipy import ndimage

from benchmark.cases import Case, Repeat
from benchmark.errors import BenchmarkError
from model_library.degradation.noise import NoiseModel
from model_library.degradation.operators import block_mean
from model_library.degradation.recorruption import Recorrupted, added_noise, recorrupt
from model_library.images.frame import Grey

Window = tuple[slice, slice]

_MEAN_SIGMA_PX = 1.5


def places(shape: tuple[int, ...], crop_px: int, count: int, rng: np.random.Generator) -> list[Window]:
    """Draw crops of an image [Y, X] that do not overlap; fewer than `count` where no more have room.

    They are cells of a grid that starts at a random corner; images smaller than a crop are taken whole.
    """
    sides = [min(length, crop_px) for length in shape]
    if not all(sides):
        raise BenchmarkError(f"expected an image with pixels, found {shape}")
    starts = [
        np.arange(rng.integers(0, length % side + 1), length - side + 1, side)
        for length, side in zip(shape, sides, strict=True)
    ]
    cells = [(int(top), int(left)) for top in starts[0] for left in starts[1]]
    return [
        (slice(top, top + sides[0]), slice(left, left + sides[1]))
        for top, left in (cells[place] for place in rng.permutation(len(cells))[:count])
    ]


def pair_cases(
    images: Sequence[tuple[str, Grey]],
    noise: NoiseModel,
    rng: np.random.Generator,
    *,
    scale: int = 1,
    crop_px: int = 256,
    crops: int = 1,
) -> tuple[Case, ...]:
    """Make cases of acquired images alone, several crops of each.

    For denoising (`scale` 1) the acquired crop is split by recorruption. For super-resolution the
    noisier half is binned by `scale` and given the noise that the instrument would have at that sampling
    with the same dwell time; the result is judged at the sampling of the acquisition, against the other
    half, whose noise is independent of all that the network saw. So no noise-free image is needed, and a
    network gains nothing by keeping noise.

    Parameters
    ----------
    images
        (field of view, pixels float32 [Y, X] in counts).
    noise
        Of the instrument that acquired them.
    crop_px
        Side of a crop of the acquired image.
    crops
        Of each image, at most; crops of one grey value show nothing and are left out.
    """
    cases = []
    for number, (field, pixels) in enumerate(images):
        sides = tuple(length // scale * scale for length in pixels.shape)
        whole = pixels[: sides[0], : sides[1]]
        drawn = places(sides, crop_px // scale * scale, crops, rng)
        shown = [window for window in drawn if np.ptp(whole[window]) > 0] or drawn[:1]
        for place, window in enumerate(shown):
            pair = recorrupt(whole[window], noise, rng)
            given = pair.input if scale == 1 else _coarse(pair, noise, scale, rng)
            cases.append(Case(field, f"{number:03d}.{place:02d}:{field}", given, Repeat.of(pair)))
    return tuple(cases)


def _coarse(pair: Recorrupted, noise: NoiseModel, scale: int, rng: np.random.Generator) -> Grey:
    binned = block_mean(pair.input, scale)
    missing = 1 - (1 + pair.strength**2) / scale**2
    mean = ndimage.gaussian_filter(binned, _MEAN_SIGMA_PX)
    coarse: Grey = (binned + added_noise(mean, noise, missing, rng)).astype(np.float32)
    return coarse
