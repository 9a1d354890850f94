"""Total variation denoising (Rudin, Osher & Fatemi 1992)."""

import math

import numpy as np

from model_library.images.frame import Grey

ITERATIONS = 40


def total_variation(pixels: Grey, weight: float) -> Grey:
    """Minimise |u - pixels|^2 / 2 + weight * sum |grad u| over u, float32 [Y, X], isotropic.

    Chambolle's dual projection (2004) with Nesterov's acceleration (Beck & Teboulle 2009), a fixed
    number of steps: the plain projection of scikit-image stops at a point that jumps with the weight,
    which costs up to 1 dB and makes a poor rival.
    """
    height, width = pixels.shape
    dual = np.zeros((2, height, width), dtype=np.float32)
    ahead, momentum = dual.copy(), 1.0
    step = np.float32(1 / (8 * weight))
    for _ in range(ITERATIONS):
        smooth = pixels + np.float32(weight) * _divergence(ahead)
        trial = ahead
        trial[0, :-1] += step * (smooth[1:] - smooth[:-1])
        trial[1, :, :-1] += step * (smooth[:, 1:] - smooth[:, :-1])
        trial /= np.maximum(1, np.sqrt(np.square(trial[0]) + np.square(trial[1])))
        following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
        ahead = trial + np.float32((momentum - 1) / following) * (trial - dual)
        dual, momentum = trial, following
    return np.asarray(pixels + np.float32(weight) * _divergence(dual), dtype=np.float32)


def _divergence(field: Grey) -> Grey:
    total: Grey = field[0] + field[1]
    total[1:] -= field[0, :-1]
    total[:, 1:] -= field[1, :, :-1]
    return total
