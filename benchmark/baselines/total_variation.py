"""Total variation denoising (Rudin, Osher & Fatemi 1992)."""

import math

import numpy as np
from numpy.typing import NDArray

from benchmark.compiled import worth_compiling
from model_library.images.frame import Grey

ITERATIONS = 40


def total_variation(pixels: Grey, weight: float) -> Grey:
    """Minimise |u - pixels|^2 / 2 + weight * sum |grad u| over u, float32 [Y, X], isotropic.

    Chambolle's dual projection (2004) with Nesterov's acceleration (Beck & Teboulle 2009), a fixed
    number of steps: the plain projection of scikit-image stops at a point that jumps with the weight,
    which costs up to 1 dB and makes a poor rival.
    """
    step, momenta = np.float32(1 / (8 * weight)), _momenta()
    if worth_compiling(pixels.size):
        from benchmark.baselines.tv_kernel import project

        return project(np.ascontiguousarray(pixels), np.float32(weight), step, momenta)
    return _project(pixels, np.float32(weight), step, momenta)


def _momenta() -> NDArray[np.float32]:
    found, momentum = [], 1.0
    for _ in range(ITERATIONS):
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        found.append((momentum - 1) / following)
        momentum = following
    return np.array(found, dtype=np.float32)


def _project(pixels: Grey, weight: np.float32, step: np.float32, momenta: NDArray[np.float32]) -> Grey:
    """Do what `tv_kernel.project` does, by numpy."""
    dual = np.zeros((2, *pixels.shape), dtype=np.float32)
    ahead = dual.copy()
    for momentum in momenta:
        smooth = pixels + weight * _divergence(ahead)
        trial = ahead
        trial[0, :-1] += step * (smooth[1:] - smooth[:-1])
        trial[1, :, :-1] += step * (smooth[:, 1:] - smooth[:, :-1])
        trial /= np.maximum(1, np.sqrt(np.square(trial[0]) + np.square(trial[1])))
        ahead = trial + momentum * (trial - dual)
        dual = trial
    return np.asarray(pixels + weight * _divergence(dual), dtype=np.float32)


def _divergence(field: Grey) -> Grey:
    total: Grey = field[0] + field[1]
    total[1:] -= field[0, :-1]
    total[:, 1:] -= field[1, :, :-1]
    return total
