"""How much an image looks like those that a network learned from: a few features, and the nearest neighbours.

The features are of the image on the scale of the network (1st to 99th percentile), so that gain and offset of
a detector play no part: noise level, slope and flatness of the power spectrum, shape of the histogram,
spread of the local contrast, correlation of neighbours and direction of the gradients.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from benchmark.baselines.noise_level import noise_level
from benchmark.errors import BenchmarkError
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.wire.base import Message
from model_library.wire.methods import Sha256

TILE_PX = 128
"""Features are taken of squares of this side, so that the size of an image plays no part."""
_MOST_TILES = 9
_NEIGHBOURS = 3
_TYPICAL = 0.99
_SHRINKAGE = 0.05
_LEAST_NOISE = 0.003
"""Of the span: below it, rounding to 8 bits decides what the noise seems to be."""
FEATURES = (
    "log noise",
    "spectral slope",
    "log fine over coarse power",
    "median grey value",
    "interquartile range",
    "log kurtosis",
    "log spread of local contrast",
    "neighbour correlation",
    "log anisotropy",
)

_Vectors = NDArray[np.float64]


class TrainingStatistics(Message):
    """Features of images like those that one network learned from.

    Attributes
    ----------
    weights_sha256
        The network; another version of it learned from something else.
    source
        Where the images came from, in words.
    features
        Names, in the order of `values`.
    values
        One vector per image.
    """

    network: str
    weights_sha256: Sha256
    source: str
    features: tuple[str, ...]
    values: tuple[tuple[float, ...], ...] = Field(min_length=2 * _NEIGHBOURS)

    @model_validator(mode="after")
    def _features_known(self) -> Self:
        if self.features != FEATURES or any(len(each) != len(FEATURES) for each in self.values):
            raise BenchmarkError(
                f"{self.network}: expected training statistics of {', '.join(FEATURES)}, found"
                f" {', '.join(self.features)}; make them anew (synoptic benchmark training-statistics)"
            )
        return self


def tiles(pixels: Grey) -> list[Grey]:
    """Cut up to nine squares from an image [Y, X], on the unit scale of the whole; small images whole."""
    unit = Scaling.of(pixels).apply(pixels)
    rows, columns = (_starts(side) for side in unit.shape)
    return [unit[row : row + TILE_PX, column : column + TILE_PX] for row in rows for column in columns]


def _starts(side: int) -> list[int]:
    most, free = int(_MOST_TILES**0.5), side - TILE_PX
    count = min(most, side // TILE_PX)
    if count < 2:
        return [max(0, free // 2)]
    return [round(free * each / (count - 1)) for each in range(count)]


def features(tile: Grey) -> _Vectors:
    """Measure one square [Y, X] on the unit scale: float64 [feature], see `FEATURES`."""
    from scipy import ndimage

    values = tile.astype(np.float64)
    low, quarter, middle, three, high = np.percentile(values, (1, 25, 50, 75, 99))
    span = max(float(high - low), 1e-6)
    centred = values - values.mean()
    variance = max(float(np.mean(centred**2)), 1e-12)
    slope, flatness = _spectrum(centred)
    local = np.sqrt(
        np.maximum(ndimage.uniform_filter(centred**2, 7) - ndimage.uniform_filter(centred, 7) ** 2, 0)
    )
    calm, lively = np.percentile(local, (10, 90))
    neighbours = (
        0.5 * (np.mean(centred[1:] * centred[:-1]) + np.mean(centred[:, 1:] * centred[:, :-1])) / variance
    )
    gy, gx = (np.mean(np.square(np.diff(centred, axis=axis))) for axis in (0, 1))
    return np.array(
        [
            np.log(max(noise_level(tile) / span, _LEAST_NOISE)),
            slope,
            flatness,
            (middle - low) / span,
            (three - quarter) / span,
            np.log(max(float(np.mean(centred**4)) / variance**2, 1.0)),
            np.log((lively + 1e-6) / (calm + 1e-6)),
            np.arctanh(np.clip(neighbours, -0.999, 0.999)),
            np.log((gy + 1e-12) / (gx + 1e-12)),
        ]
    )


def distances(statistics: TrainingStatistics, images: Sequence[Grey]) -> NDArray[np.float64]:
    """Distance of each image to the training data, float64 [image]; 1 is what 99 % of that data keep.

    The mean distance to the three nearest vectors, in units of the covariance of all, over the 99 % quantile
    of the same for each training vector among the others; the median over an image's squares.
    """
    known = np.array(statistics.values, dtype=np.float64)
    whiten = _whitening(known)
    known_white = known @ whiten
    apart = np.linalg.norm(known_white[:, None] - known_white[None], axis=-1)
    np.fill_diagonal(apart, np.inf)
    typical = float(np.quantile(_nearest(apart), _TYPICAL))
    found = []
    for pixels in images:
        vectors = np.array([features(tile) for tile in tiles(pixels)]) @ whiten
        away = np.linalg.norm(vectors[:, None] - known_white[None], axis=-1)
        found.append(float(np.median(_nearest(away))) / max(typical, 1e-9))
    return np.array(found, dtype=np.float64)


def _nearest(apart: _Vectors) -> _Vectors:
    nearest: _Vectors = np.sort(apart, axis=1)[:, :_NEIGHBOURS].mean(axis=1)
    return nearest


def _whitening(vectors: _Vectors) -> _Vectors:
    covariance = np.cov(vectors, rowvar=False)
    covariance += _SHRINKAGE * np.diag(np.diag(covariance)) + 1e-9 * np.eye(len(covariance))
    scales, axes = np.linalg.eigh(covariance)
    whitening: _Vectors = axes / np.sqrt(scales)
    return whitening


def _spectrum(centred: _Vectors) -> tuple[float, float]:
    """Slope of log power over log frequency, and log of fine (0.3-0.5) over coarse (0.05-0.15) power."""
    height, width = centred.shape
    window = np.outer(np.hanning(height), np.hanning(width))
    power = np.abs(np.fft.rfft2(centred * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    edges = np.geomspace(0.03, 0.5, 12)
    ring = np.digitize(frequency, edges)
    means = np.array(
        [power[ring == number].mean() if (ring == number).any() else np.nan for number in range(1, 12)]
    )
    usable = means > 0
    if usable.sum() < 2:
        return 0.0, 0.0
    centres = np.sqrt(edges[1:] * edges[:-1])
    slope = float(np.polyfit(np.log(centres[usable]), np.log(means[usable]), 1)[0])
    fine = power[(frequency > 0.3) & (frequency <= 0.5)].mean()
    coarse = power[(frequency > 0.05) & (frequency <= 0.15)].mean()
    return slope, float(np.log((fine + 1e-12) / (coarse + 1e-12)))
