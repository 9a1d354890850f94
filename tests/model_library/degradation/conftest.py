import numpy as np
import pytest


def _plant(clean, gain, read_sigma, rng, *, offset=0.0, top=255):
    signal = gain * rng.poisson(np.clip(clean, 0, None) / gain) if gain > 0 else clean
    noisy = signal + read_sigma * rng.standard_normal(clean.shape) + offset
    return np.clip(np.rint(noisy), 0, top).astype(np.float32)


@pytest.fixture(scope="session")
def plant():
    """Electrons are counted, amplified to counts, read out with noise, rounded and clipped."""
    return _plant
