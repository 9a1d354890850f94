"""The mean over the eight ways to turn and mirror an image (Lim et al. 2017, section 3.4)."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from model_library.inference.backends.port import Backend, Windows

Channels = NDArray[np.float32]
"""float32 [C, Y, X]."""


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
    results = turned_back(apply, image)
    total = next(results).copy()
    for each in results:
        total += each
    mean: NDArray[np.float32] = total / np.float32(8)
    return mean


def turned_back(apply: Callable[[Channels], Channels], image: Channels) -> Iterator[Channels]:
    """Apply a function to all turned and mirrored images; gives its eight results, turned back."""
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
