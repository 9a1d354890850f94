"""What a restored image can be held to without a truth: the noise of its own acquisition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.metrics.pointwise import ratio_db
from benchmark.metrics.resolution import ring_correlation
from model_library.degradation.noise import NoiseModel
from model_library.degradation.operators import block_mean
from model_library.degradation.recorruption import Recorrupted, added_noise, recorrupt, repeat_risk
from model_library.images.frame import Grey

STRENGTHS = (0.25, 0.5)
"""Of recorruption: the weaker is nearer to how a network serves, the stronger varies less."""

_DONUT = (np.array([[0.5, 1, 0.5], [1, 0, 1], [0.5, 1, 0.5]]) / 6).astype(np.float32)
_REDRAWN = 1 - float(np.square(_DONUT).sum())
"""Share of an acquisition's noise variance that the mean of the neighbours lacks."""

_PHASES = tuple((row, column) for row in range(2) for column in range(4))
"""Of a lattice whose points lie no nearer than 2.8 px: together they hide every pixel once."""

_SMOOTHING_PX = 1.5
_LAGS = ((0, 1), (1, 0), (0, 2), (2, 0))
_TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True)
class Probe:
    """One acquired image made ready to try methods on, the same way for all of them.

    Attributes
    ----------
    pixels
        float32 [Y, X] in counts, as acquired.
    pairs
        The image split by recorruption, per strength.
    blinded
        The image with some of its pixels drawn again, from their neighbours' mean and the noise of one
        acquisition, and which (bool [Y, X]).
    deviation
        Standard deviation of the noise, float32 [Y, X] in counts, > 0.
    data_range
        In counts: the 1st to 99th percentile.
    """

    pixels: Grey
    pairs: tuple[Recorrupted, ...]
    blinded: tuple[tuple[Grey, NDArray[np.bool_]], ...]
    deviation: Grey
    data_range: float

    @classmethod
    def of(cls, pixels: Grey, noise: NoiseModel, rng: np.random.Generator) -> Self:
        """Split and blind an image [Y, X] in counts of an instrument with this noise."""
        local_mean = ndimage.gaussian_filter(pixels, _SMOOTHING_PX)
        filled = ndimage.convolve(pixels, _DONUT, mode="reflect")
        filled += added_noise(local_mean, noise, _REDRAWN, rng)
        blinded = []
        rows, columns = np.ogrid[: pixels.shape[0], : pixels.shape[1]]
        for row, column in _PHASES:
            hidden = (rows % 2 == row) & ((columns + rows // 2 * 2) % 4 == column)
            blinded.append((np.where(hidden, filled, pixels), hidden))
        variance = noise.variance(local_mean)
        low, high = np.percentile(pixels, (1, 99))
        return cls(
            pixels,
            tuple(recorrupt(pixels, noise, rng, strength=strength) for strength in STRENGTHS),
            tuple(blinded),
            np.sqrt(np.maximum(variance, max(1e-3 * float(variance.mean()), _TINY))),
            max(float(high - low), _TINY),
        )


def weigh(method: Method, probe: Probe) -> Mapping[Metric, float]:
    """Measure what speaks for a restoring method on one image; refusals are those of the method.

    Returns
    -------
    Mapping
        `PSNR_SELF`: from the squared difference at blind spots; of a method that enlarges, from its mean with
        that from an independent repeat of the acquisition, by recorruption, at this sampling and, shown a
        coarser one (Shocher et al., CVPR 2018), at the acquired one.
        `RING_CORRELATION`: mean, up to Nyquist, of the Fourier ring correlation of the result with raw
        data of independent noise. Only one side has passed the method, so that no prior is shared.
        `FORWARD_MISFIT`: how far the degraded result minus the acquisition is from noise of the fitted
        model, see `misfit`.
    """
    seen = _degraded(method(probe.pairs[-1].input), method.scale)
    residual = _degraded(method(probe.pixels), method.scale) - probe.pixels
    return {
        Metric.PSNR_SELF: self_psnr(method, probe),
        Metric.RING_CORRELATION: float(ring_correlation(seen, probe.pairs[-1].target).correlation.mean()),
        Metric.FORWARD_MISFIT: misfit(residual / probe.deviation),
    }


def self_psnr(method: Method, probe: Probe) -> float:
    """Measure `PSNR_SELF` alone, see `weigh`."""
    risk = _blind_spot_risk(method, probe)
    if method.scale > 1:
        repeats = [repeat_risk(method(pair.input), pair) for pair in probe.pairs]
        risk = (risk + (float(np.mean(repeats)) + _coarser_risk(method, probe.pairs[-1])) / 2) / 2
    return ratio_db(risk, probe.data_range)


def misfit(residual: Grey) -> float:
    """Tell a residual [Y, X], in standard deviations of the noise, from white noise of unit variance.

    The logarithm of its variance, and the correlations between neighbours along both axes, without their
    signs, added up: 0 for noise. A result that lost detail leaves it in the residual; one that kept noise
    leaves too little there.
    """
    normal = residual.astype(np.float64) - float(residual.mean())
    power = max(float(np.mean(np.square(normal))), 1e-12)
    rows, columns = normal.shape
    correlations = [
        abs(float(np.mean(normal[down:, right:] * normal[: rows - down, : columns - right]))) / power
        for down, right in _LAGS
    ]
    return abs(float(np.log(power))) + sum(correlations)


def _degraded(result: Grey, scale: int) -> Grey:
    return block_mean(result, scale) if scale > 1 else result


def _blind_spot_risk(method: Method, probe: Probe) -> float:
    """Squared error at pixels that the method was not shown (Noise2Self, Batson and Royer, ICML 2019).

    It holds wherever noise is independent between pixels. The noise model only makes the redrawn pixels as
    noisy as the others: an error of some percent in it favours no method. Where they were the bare mean of
    their neighbours, methods that follow every pixel were flattered.
    """
    errors = [
        np.mean(np.square((_degraded(method(image), method.scale) - probe.pixels)[hidden], dtype=np.float64))
        for image, hidden in probe.blinded
    ]
    return float(np.mean(errors))


def _coarser_risk(method: Method, pair: Recorrupted) -> float:
    rows, columns = (side // method.scale * method.scale for side in pair.acquired.shape)
    cut = (slice(rows), slice(columns))
    whole = Recorrupted(
        input=pair.input[cut],
        target=pair.target[cut],
        acquired=pair.acquired[cut],
        noise=pair.noise[cut],
        strength=pair.strength,
    )
    return repeat_risk(method(block_mean(whole.input, method.scale)), whole)
