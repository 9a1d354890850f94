"""Training pairs of an instrument's own images and the labels that people drew on them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.training.pairs import Pair, cut_batch

_GAIN = (0.8, 1.25)
_OFFSET = (-0.1, 0.1)
_GAMMA = (0.8, 1.25)


@dataclass(frozen=True, slots=True)
class AnnotatedPairs:
    """Acquired images and the class of each of their pixels.

    Attributes
    ----------
    images
        float32 [Y, X], or [C, Y, X] of neighbouring slices or colours, counts.
    classes
        Class indices uint8 [Y, X], of the same sides; `losses.UNKNOWN_CLASS` where nobody labelled.
    weights
        Of each pixel, float32 [Y, X], for the loss that wants them (`borders.border_weights`).
    """

    images: Sequence[Grey]
    classes: Sequence[NDArray[np.uint8]]
    weights: Sequence[Grey] | None = None

    def __post_init__(self) -> None:
        shapes = [image.shape[-2:] for image in self.images], [labels.shape for labels in self.classes]
        if not self.images or shapes[0] != shapes[1]:
            raise RecipeError(
                f"expected images and labels of equal shapes, found {shapes[0]} and {shapes[1]}; "
                "label the images at their own size"
            )
        if self.weights is not None and [each.shape for each in self.weights] != shapes[0]:
            raise RecipeError(
                f"expected weights of the shapes of their images, found {[w.shape for w in self.weights]} "
                f"and {shapes[0]}; compute them from the labels"
            )

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `pairs.PairSource`; targets are class indices as float32, and the weights behind them.

        Patches are turned and mirrored together with their labels; the grey values of an image are
        jittered (contrast, brightness, gamma), as detectors and specimens of another day would.
        """

        def draw() -> Pair:
            number = int(rng.integers(len(self.images)))
            image = self.images[number]
            target = self.classes[number].astype(np.float32)
            if self.weights is not None:
                target = np.stack([target, self.weights[number]])
            return Pair(jittered(Scaling.of(image).apply(image), rng), target)

        return cut_batch(draw, size, patch_px, 1, rng)


def jittered(unit: Grey, rng: np.random.Generator) -> Grey:
    """Change contrast, brightness and gamma of an image on the unit scale a little; order is kept."""
    gamma, gain, offset = rng.uniform(*_GAMMA), rng.uniform(*_GAIN), rng.uniform(*_OFFSET)
    # Values outside [0, 1] are the tails beyond the percentiles: gamma acts on their distance from 0.
    bent = np.sign(unit) * np.abs(unit) ** np.float32(gamma)
    changed: Grey = (0.5 + gain * (bent - 0.5) + offset).astype(np.float32)
    return changed
