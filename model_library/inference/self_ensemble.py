"""The mean over the eight ways to turn and mirror an image (Lim et al. 2017, section 3.4); their spread."""

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model_library.inference.backends.port import Backend, Windows

Channels = NDArray[np.float32]
"""float32 [C, Y, X]."""

Ensemble = Literal["mean", "spread"]
"""What is wanted of the eight: their mean, or how much they differ (see `inference.uncertainty`)."""


def over_dihedral(apply: Callable[[Channels], Channels], image: Channels) -> Channels:
    """Apply a function to all turned and mirrored images, turn its results back and average them.

    Parameters
    ----------
    apply
        From [C, Y, X] to [C', s Y, s X].
    image
        [C, Y, X].

    Returns
    -------
    [C', s Y, s X]; turning the image turns the result, but for rounding.
    """
    total: NDArray[np.float32] | None = None
    for back in each_way(apply, image):
        total = back.copy() if total is None else total + back
    assert total is not None
    mean: NDArray[np.float32] = total / np.float32(8)
    return mean


def each_way(apply: Callable[[Channels], Channels], image: Channels) -> Iterator[Channels]:
    """Give the results of the eight turned and mirrored images, turned back, one after the other."""
    for turns in range(4):
        for mirrored in (False, True):
            turned = np.rot90(image, turns, axes=(1, 2))
            result = apply(np.ascontiguousarray(turned[..., ::-1] if mirrored else turned))
            yield np.rot90(result[..., ::-1] if mirrored else result, -turns, axes=(1, 2))


class SelfEnsemble:
    """A backend that answers with the mean over the eight ways to turn and mirror each window.

    On a plane extended to multiples of the stride this is what the whole plane would give. Eight times as
    slow.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.precision, self.elsewhere = backend.name, backend.precision, backend.elsewhere

    def __call__(self, windows: Windows) -> Windows:
        """Compute windows; see `backends.port.Backend`."""
        return np.stack(
            [over_dihedral(lambda turned: self._backend(turned[None])[0], each) for each in windows]
        )


class Spread:
    """A backend that answers with the standard deviation of the eight results, as slow as their mean."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self.name, self.precision, self.elsewhere = backend.name, backend.precision, backend.elsewhere

    def __call__(self, windows: Windows) -> Windows:
        """Compute windows; see `backends.port.Backend`."""
        return np.stack([self._spread(each) for each in windows])

    def _spread(self, window: Channels) -> Channels:
        # What a backend gives it may overwrite the next time.
        results = [back.copy() for back in each_way(lambda turned: self._backend(turned[None])[0], window)]
        spread: Channels = np.std(results, axis=0, ddof=1)
        return spread
