"""Shapes with soft edges, and the last optics that every specimen passes through."""

from collections.abc import Iterator

import numpy as np
from scipy import ndimage

from model_library.images.frame import Grey
from model_library.specimens.texture import smooth_field

Window = tuple[slice, slice]

_SHARPEST_PX = 0.5


def log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    """Draw a positive size so that each octave between `low` and `high` is equally likely."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def coverage(distance: Grey, softness_px: float = 0.7) -> Grey:
    """Share of each pixel inside a shape: signed distance [Y, X] in pixels (positive inside) -> [0, 1]."""
    return np.asarray(np.clip(distance / np.float32(2 * softness_px) + 0.5, 0, 1), dtype=np.float32)


def edge_distance(field: Grey, level: float) -> Grey:
    """Signed distance in pixels (to first order) of each pixel [Y, X] from the contour `field == level`."""
    gy, gx = np.gradient(field)
    return np.asarray((field - np.float32(level)) / (np.hypot(gy, gx) + np.float32(1e-4)), dtype=np.float32)


def window_at(shape: tuple[int, int], y: float, x: float, radius: float) -> Window | None:
    """Slices of the square of this half side round (y, x), cut to the image; None where nothing is left."""
    top, left = max(int(y - radius), 0), max(int(x - radius), 0)
    bottom, right = min(int(y + radius) + 2, shape[0]), min(int(x + radius) + 2, shape[1])
    return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None


def offsets(window: Window, y: float, x: float) -> tuple[Grey, Grey]:
    """Distances in pixels (dy [Y, 1], dx [1, X]) of a window's pixels from (y, x)."""
    rows = np.arange(window[0].start, window[0].stop, dtype=np.float32)[:, None] - np.float32(y)
    columns = np.arange(window[1].start, window[1].stop, dtype=np.float32)[None, :] - np.float32(x)
    return rows, columns


def scattered(
    shape: tuple[int, int], rng: np.random.Generator, count: int, margin_px: float
) -> Iterator[tuple[float, float]]:
    """Yield `count` random positions (y, x), also up to `margin_px` outside, so that borders cut shapes."""
    for _ in range(count):
        yield (
            float(rng.uniform(-margin_px, shape[0] + margin_px)),
            float(rng.uniform(-margin_px, shape[1] + margin_px)),
        )


def cracked(shape: tuple[int, int], rng: np.random.Generator, width_px: float) -> Grey:
    """Coverage [Y, X] of one wandering crack or scratch through the image."""
    angle = float(rng.uniform(0, np.pi))
    y, x = offsets(
        (slice(0, shape[0]), slice(0, shape[1])), rng.uniform(0, shape[0]), rng.uniform(0, shape[1])
    )
    along = x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))
    across = y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))
    reach = int(np.hypot(*shape)) + 2
    steps = ndimage.gaussian_filter1d(rng.standard_normal(2 * reach), rng.uniform(1, 12))
    path = np.cumsum(steps / steps.std()) * rng.uniform(0.05, 0.6)
    path = (path - path[reach]).astype(np.float32)
    width = width_px * np.clip(
        1 + 0.5 * ndimage.gaussian_filter1d(rng.standard_normal(2 * reach), 15) * 5, 0.2, 2
    )
    index = np.clip(along.astype(np.int32) + reach, 0, 2 * reach - 1)
    distance = width.astype(np.float32)[index] / 2 - np.abs(across - path[index])
    return coverage(distance)


def developed(contrast: Grey, rng: np.random.Generator, *, softest_px: float = 1.3) -> Grey:
    """Turn contrast [Y, X] of any range into intensity: lighting, curtains, the probe's width, the dial.

    Returns
    -------
    Grey
        float32 [Y, X] in [0, 1]; darkest and brightest parts at random levels, as operators set them.
    """
    low, high = np.percentile(contrast[::4, ::4], (0.5, 99.5))
    image = (contrast - np.float32(low)) / np.float32(max(high - low, 1e-3))
    shading = smooth_field(contrast.shape, rng, length_px=0.7 * max(contrast.shape))
    image += np.float32(rng.uniform(0, 0.06)) * shading
    if rng.random() < 0.25:
        angle = float(rng.choice([0.0, np.pi / 2]))
        stripes = smooth_field(contrast.shape, rng, log_uniform(rng, 2, 15), elongation=60, angle=angle)
        image += np.float32(rng.uniform(0.01, 0.04)) * stripes
    image = ndimage.gaussian_filter(image, log_uniform(rng, _SHARPEST_PX, softest_px), truncate=3)
    black, white = rng.uniform(0.03, 0.25), rng.uniform(0.65, 0.97)
    gamma = rng.uniform(0.75, 1.35)
    toned = np.clip(image, 0, 1.3) ** np.float32(gamma)
    return np.asarray(np.clip(black + (white - black) * toned, 0, 1), dtype=np.float32)
