"""Denoising without clean images: pairs made of the noisy frames themselves.

Noise that is independent from pixel to pixel cannot be predicted from the surroundings of a pixel, the
specimen can: a network that is asked for pixels which it was not shown (blind spots) learns the specimen
(Krull et al., "Noise2Void", CVPR 2019; Batson & Royer, "Noise2Self", ICML 2019). Nor can one frame's noise be
predicted from another frame of the same field (Lehtinen et al., "Noise2Noise", ICML 2018). Train with the
squared error (`mse`), whose minimum is unmoved by noise in the target. Noise that is correlated between
pixels (resampled images, a wide detector spread) is learned along with the specimen by blind spots.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from model_library.errors import NonFinitePixels, RecipeError
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.training.pairs import Pair, cut_batch

Filling = Literal["neighbour", "anywhere"]


@dataclass(frozen=True, slots=True)
class BlindSpotPairs:
    """Single noisy frames, some of whose pixels are hidden from the input and asked for.

    Attributes
    ----------
    images
        Acquired images [Y, X], counts.
    spacing_px
        One pixel in each square of this side is hidden, at a place drawn anew for every patch.
    filling
        What a hidden pixel shows: one of its neighbours, drawn at random (`neighbour`, Noise2Void), or a
        pixel from anywhere in the patch (`anywhere`): of that the network can make nothing, so that it
        learns to see round the pixel it restores (J-invariance, Noise2Self) and needs no masks in use.
    reach_px
        How far away, along each axis, the neighbour may lie; less than `spacing_px`.
    """

    images: Sequence[Grey]
    spacing_px: int = 5
    filling: Filling = "neighbour"
    reach_px: int = 2

    def __post_init__(self) -> None:
        _check(self.images)
        if not 1 <= self.reach_px < self.spacing_px:
            raise RecipeError(
                "expected blind spots that show neighbours at least 1 pixel away, and nearer than the next "
                f"blind spot, found {self.reach_px} and {self.spacing_px} pixels; 2 and 5 are usual"
            )

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`; targets are the hidden grey values, NaN everywhere else."""

        def draw() -> Pair:
            image = self.images[int(rng.integers(len(self.images)))]
            unit = Scaling.of(image).apply(image)
            return Pair(unit, unit)

        shown, wanted = cut_batch(draw, size, patch_px, 1, rng)
        spots = blind_spots((size, patch_px, patch_px), self.spacing_px, rng)
        inputs = shown.numpy()[:, 0].copy()
        inputs[spots] = self._filled(inputs, spots, rng)
        targets = wanted.numpy()[:, 0].copy()
        targets[~_mask(targets.shape, spots)] = np.nan
        return _tensor(inputs), _tensor(targets)

    def _filled(
        self, patches: Grey, spots: tuple[NDArray[np.intp], ...], rng: np.random.Generator
    ) -> NDArray[np.float32]:
        number, y, x = spots
        if self.filling == "anywhere":
            return np.asarray(patches[number, *(rng.integers(patches.shape[1], size=(2, len(y))))])
        side = 2 * self.reach_px + 1
        # All places of the square but its middle.
        drawn = rng.integers(side * side - 1, size=len(y))
        drawn = drawn + (drawn >= side * side // 2)
        step = drawn // side - self.reach_px, drawn % side - self.reach_px
        return np.asarray(patches[_inside(patches, number, y, x, step)])


@dataclass(frozen=True, slots=True)
class RepeatedPairs:
    """Repeated frames of the same fields: one is the input, another the target (Noise2Noise).

    Attributes
    ----------
    fields
        For each field of view its frames [Y, X], counts, two or more, registered to each other.
    """

    fields: Sequence[Sequence[Grey]]

    def __post_init__(self) -> None:
        _check([frame for frames in self.fields for frame in frames])
        for number, frames in enumerate(self.fields, start=1):
            shapes = {frame.shape for frame in frames}
            if len(frames) < 2 or len(shapes) != 1:
                raise RecipeError(
                    f"field {number}: expected at least two frames of one size, found {len(frames)} of "
                    f"{sorted(shapes)}; leave the field out, or learn from single frames (blind spots)"
                )

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`; the target is another frame, on the unit scale of the input."""

        def draw() -> Pair:
            frames = self.fields[int(rng.integers(len(self.fields)))]
            first, second = rng.choice(len(frames), size=2, replace=False)
            scaling = Scaling.of(frames[first])
            return Pair(scaling.apply(frames[first]), scaling.apply(frames[second]))

        return cut_batch(draw, size, patch_px, 1, rng)


def blind_spots(
    shape: tuple[int, int, int], spacing_px: int, rng: np.random.Generator
) -> tuple[NDArray[np.intp], ...]:
    """Draw a place in squares of `spacing_px`, the same in all squares of a patch; `shape` is [N, Y, X].

    Blind spots of a patch are a whole spacing apart: none shows at another what it hides.

    Returns
    -------
    tuple
        Indices (patch, y, x).
    """
    number, height, width = shape
    y, x = np.indices((height, width))
    shift = rng.integers(spacing_px, size=(2, number, 1, 1))
    return np.nonzero((y % spacing_px == shift[0]) & (x % spacing_px == shift[1]))


def _inside(
    patches: Grey,
    number: NDArray[np.intp],
    y: NDArray[np.intp],
    x: NDArray[np.intp],
    step: tuple[NDArray[np.intp], NDArray[np.intp]],
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Step from places; a step that leaves the patch is taken the other way."""
    (dy, dx), (height, width) = step, patches.shape[1:]
    down, right = y + dy, x + dx
    down = np.where((down < 0) | (down >= height), y - dy, down)
    right = np.where((right < 0) | (right >= width), x - dx, right)
    return number, down, right


def _mask(shape: tuple[int, ...], spots: tuple[NDArray[np.intp], ...]) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    mask[spots] = True
    return mask


def _tensor(patches: Grey) -> Tensor:
    return torch.from_numpy(patches[:, None]).contiguous(memory_format=torch.channels_last)


def _check(images: Sequence[Grey]) -> None:
    if not images:
        raise RecipeError("expected frames to learn from, found none; give frames of the instrument")
    for number, image in enumerate(images, start=1):
        if not np.isfinite(image).all():
            raise NonFinitePixels(
                f"frame {number}: expected finite grey values, found NaN or infinity; leave the frame out"
            )
