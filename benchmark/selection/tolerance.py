"""The difference between two networks that is not worth deciding on, in the unit of the metric."""

from collections.abc import Sequence

import numpy as np

from benchmark.cases import Reference, Repeat
from benchmark.metrics import Metric

NEAR_TIE = {"dB": 0.05, "": 0.002, "px": 0.02, "bit": 0.005}
"""By the metric's unit. A pure number is an overlap such as Dice."""

_LEAST_SHARE = 0.05
_RISK = 10 ** (NEAR_TIE["dB"] / 10) - 1
"""A squared error that is larger by this share is 0.05 dB worse."""


def near_tie(metric: Metric, references: Sequence[Reference], leading: Sequence[float]) -> float:
    """Tell which difference of means is a near-tie.

    A repeat of the acquisition has noise of its own, the same for every method, which compresses
    differences: where it is nine tenths of the squared difference, a method that is 0.5 dB worse against
    the truth is 0.05 dB worse against the repeat. The limit shrinks by the same share.

    Parameters
    ----------
    metric
        What was measured.
    references
        Of the cases on which it was.
    leading
        Scores of the best method on these.
    """
    if metric is Metric.FRAME_RISK:
        return max(_RISK * float(np.mean(leading)), 0.0)
    limit = NEAR_TIE.get(metric.unit, 0.0)
    repeats = [each for each in references if isinstance(each, Repeat)]
    if metric not in (Metric.PSNR_REPEAT, Metric.PSNR_SELF) or len(repeats) < len(references):
        return limit
    shares = [_share(each, value) for each, value in zip(repeats, leading, strict=True)]
    return limit * float(np.clip(np.mean(shares), _LEAST_SHARE, 1))


def _share(reference: Repeat, score_db: float) -> float:
    """How much of the squared difference is the method's error, not the noise of the repeat."""
    noise = float(np.mean(np.square(reference.pair.noise, dtype=np.float64))) / reference.data_range**2
    return float(1 - noise * 10 ** (score_db / 10))
