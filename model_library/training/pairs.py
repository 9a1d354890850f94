"""Where training pairs come from: an input patch and what the network should make of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from model_library.degradation.noise import NoiseModel
from model_library.degradation.recorruption import recorrupt
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.images.intensity import Scaling
from model_library.training.variations import Variations

PATCHES_PER_IMAGE = 4
"""Patches cut from one degraded image: degrading costs more than cutting."""


class PairSource(Protocol):
    """Draws batches of training pairs."""

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Draw a batch.

        Parameters
        ----------
        size
            Pairs in the batch.
        patch_px
            Side of an input patch.
        rng
            The only source of chance.

        Returns
        -------
        tuple
            Inputs [N, C, patch, patch] and targets [N, C', scale * patch, scale * patch], float32,
            on the unit scale of the whole image that the input was cut from; C' = C = 1 for grey
            images. For segmentation the target is the class index, with the weight of the pixel
            behind it where the loss wants one. What is unknown is NaN, or
            `losses.UNKNOWN_CLASS`, and counts in no loss.
        """
        ...


@dataclass(frozen=True, slots=True)
class Pair:
    """A whole image before and after, on the unit scale of the former; [Y, X] or [C, Y, X], float32."""

    input: Grey
    target: Grey


@dataclass(frozen=True, slots=True)
class DegradedPairs:
    """Clean images (simulated specimens or micrographs) and what degradation leaves of them.

    Attributes
    ----------
    pool
        Clean images [Y, X] in [0, 1].
    variations
        The ranges from which each degradation is drawn.
    """

    pool: Sequence[Grey]
    variations: Variations

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`; the target is the image before noise, jitter and down-sampling."""

        def draw() -> Pair:
            clean = self.variations.restyle(self.pool[int(rng.integers(len(self.pool)))], rng)
            acquired, truth = self.variations.acquire(clean, rng)
            scaling = Scaling.of(acquired)
            return Pair(scaling.apply(acquired), scaling.apply(truth))

        return cut_batch(draw, size, patch_px, self.variations.scale, rng)


@dataclass(frozen=True, slots=True)
class LabelledPairs:
    """Degraded images and the class of each of their pixels.

    Attributes
    ----------
    pool
        Clean images [Y, X] in [0, 1] with class indices [Y, X], or [2, Y, X] with weights behind them.
    variations
        The ranges from which each degradation is drawn; its scale is 1.
    """

    pool: Sequence[tuple[Grey, Grey]]
    variations: Variations

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`; targets are class indices as float32."""

        def draw() -> Pair:
            clean, classes = self.pool[int(rng.integers(len(self.pool)))]
            acquired, _ = self.variations.acquire(self.variations.restyle(clean, rng), rng)
            return Pair(Scaling.of(acquired).apply(acquired), classes)

        return cut_batch(draw, size, patch_px, 1, rng)


@dataclass(frozen=True, slots=True)
class RecorruptedPairs:
    """Acquired images made noisier in two independent ways (R2R, Pang et al., CVPR 2021).

    With the squared error, learning to predict the one from the other is, in expectation, learning
    to predict the unknown clean image. Noise is drawn anew for every batch. A super-resolving
    network learns from its binned prediction (see `loss_of`), at the scale at which it serves.

    Attributes
    ----------
    images
        Acquired images [Y, X], counts.
    noise
        Noise of the instrument, counts.
    strength
        How much of the noise is added to the input.
    """

    images: Sequence[Grey]
    noise: NoiseModel
    strength: float = 0.5

    def batch(self, size: int, patch_px: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """See `PairSource`; the target is the other recorrupted image."""

        def draw() -> Pair:
            acquired = self.images[int(rng.integers(len(self.images)))]
            pair = recorrupt(acquired, self.noise, rng, strength=self.strength)
            scaling = Scaling.of(pair.input)
            return Pair(scaling.apply(pair.input), scaling.apply(pair.target))

        return cut_batch(draw, size, patch_px, 1, rng)


def cut_batch(
    draw: Callable[[], Pair], size: int, patch_px: int, scale: int, rng: np.random.Generator
) -> tuple[Tensor, Tensor]:
    """Cut a batch of patches, turned and mirrored at random, from freshly drawn pairs.

    Raises
    ------
    RecipeError
        An image is smaller than a patch.
    """
    inputs: list[Grey] = []
    targets: list[Grey] = []
    while len(inputs) < size:
        pair = draw()
        for _ in range(min(PATCHES_PER_IMAGE, size - len(inputs))):
            before, after = _cut(pair, patch_px, scale, rng)
            inputs.append(before)
            targets.append(after)
    return _tensor(inputs), _tensor(targets)


def _cut(pair: Pair, patch_px: int, scale: int, rng: np.random.Generator) -> tuple[Grey, Grey]:
    height, width = pair.input.shape[-2:]
    if min(height, width) < patch_px:
        raise RecipeError(
            f"expected images of at least {patch_px} x {patch_px} pixels (one patch), "
            f"found {height} x {width}; choose a smaller patch or larger images"
        )
    top, left = int(rng.integers(height - patch_px + 1)), int(rng.integers(width - patch_px + 1))
    before = pair.input[..., top : top + patch_px, left : left + patch_px]
    rows = slice(top * scale, (top + patch_px) * scale)
    columns = slice(left * scale, (left + patch_px) * scale)
    after = pair.target[..., rows, columns]
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    return _turn(before, turns, mirrored), _turn(after, turns, mirrored)


def _turn(patch: Grey, turns: int, mirrored: bool) -> Grey:
    turned = np.rot90(patch, turns, axes=(-2, -1))
    return turned[..., ::-1] if mirrored else turned


def _tensor(patches: list[Grey]) -> Tensor:
    stacked = np.stack(patches).astype(np.float32, copy=False)
    batch = torch.from_numpy(stacked[:, None] if stacked.ndim == 3 else stacked)
    return batch.contiguous(memory_format=torch.channels_last)
