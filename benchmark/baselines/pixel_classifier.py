"""A random forest that tells the class of a pixel from its surroundings: trained, so no `Family`."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmark.baselines.denoise import smooth_gaussian
from benchmark.baselines.forest import Codes, Forest
from benchmark.baselines.pixel_features import pixel_features
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling, refuse_non_finite
from model_library.wire.methods import ClassicalRef

FOREST_ID = "random-forest"


@dataclass(frozen=True)
class PixelProbability:
    """The forest's probability of the class that is looked for.

    `depth` is how far down the trees are asked, `sigma_px` how much the probability is smoothed.
    """

    forest: Forest
    depth: int
    sigma_px: float = 0.0

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel of an image, float32 [Y, X] in counts, its probability in [0, 1].

        Raises
        ------
        NonFinitePixels
            The input holds NaN or infinite values.
        """
        refuse_non_finite(pixels, f"input of {FOREST_ID}")
        found = self.forest.probability(pixel_codes(self.forest, pixels), self.depth)
        return smoothed(found, pixels.shape, self.sigma_px)


@dataclass(frozen=True)
class PixelClassifier:
    """The pixels whose probability exceeds a level: a `Method` for two classes."""

    probability: PixelProbability
    level: float
    scale: int = 1

    @property
    def ref(self) -> ClassicalRef:
        """What it is; no reference can rebuild it, because the trees are in none."""
        parameters = {
            "depth": float(self.probability.depth),
            "sigma_px": self.probability.sigma_px,
            "level": self.level,
        }
        return ClassicalRef(id=FOREST_ID, parameters=parameters)

    def __call__(self, pixels: Grey) -> Grey:
        """Give each pixel [Y, X] 1 where it is of the class, else 0."""
        return (self.probability(pixels) > self.level).astype(np.float32)


def pixel_codes(forest: Forest, pixels: Grey) -> Codes:
    """Codes of an image in counts as a forest reads them, uint8 [F, Y * X]."""
    codes = forest.codes(pixel_features(Scaling.of(pixels).apply(pixels)))
    return codes.reshape(len(codes), -1)


def smoothed(probability: NDArray[np.float32], shape: tuple[int, ...], sigma_px: float) -> Grey:
    """Bring probabilities [Y * X] to the shape of their image, and smooth them."""
    shaped = probability.reshape(shape)
    return smooth_gaussian(shaped, sigma_px) if sigma_px else shaped
