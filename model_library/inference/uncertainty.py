"""How sure a network is of each pixel: the spread over turned and mirrored images, and its scale.

The eight results would agree if the network had learned what is there; where they differ it has guessed
(test-time augmentation; Wang et al., "Aleatoric uncertainty estimation with test-time augmentation", 2019).
The spread says where a result is unsure, not by how much: a scale measured on known images does.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model_library.images.frame import Grey
from model_library.inference.self_ensemble import Channels, turned_back


@dataclass(frozen=True, slots=True)
class Calibration:
    """From spread to the half width of a 95 % interval: `factor` * sqrt((`gain` spread)^2 + `floor`^2).

    Attributes
    ----------
    gain
        Standard deviation of the error per unit of spread; >= 0.
    floor
        Error that all eight results share, in counts; >= 0.
    factor
        Half width in standard deviations; 1.96 for normal errors.
    """

    gain: float
    floor: float
    factor: float = 1.96

    def half_width(self, spread: Grey) -> Grey:
        """Half width of the 95 % interval at every pixel [Y, X], in counts, of a spread in counts."""
        width: Grey = self.factor * np.sqrt(np.square(self.gain * spread) + self.floor**2)
        return width.astype(np.float32)


def spread_over_dihedral(apply: Callable[[Channels], Channels], image: Channels) -> tuple[Channels, Channels]:
    """Apply a function to all turned and mirrored images; mean and standard deviation of what comes back.

    Parameters
    ----------
    apply
        From [C, Y, X] to [C', s Y, s X].
    image
        [C, Y, X].

    Returns
    -------
    tuple
        Mean and standard deviation over the eight, [C', s Y, s X] each; the mean is that of `over_dihedral`
        but for rounding.
    """
    stack = np.stack(list(turned_back(apply, image)))
    return stack.mean(axis=0), stack.std(axis=0, ddof=1)


def spread_of(restore: Callable[[Grey], Grey], pixels: Grey) -> tuple[Grey, Grey]:
    """Restore a grey image [Y, X] in all eight ways: mean and spread [s Y, s X], in counts."""
    mean, spread = spread_over_dihedral(lambda channels: restore(channels[0])[None], pixels[None])
    return mean[0], spread[0]
