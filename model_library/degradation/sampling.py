"""Coarser sampling: by the area of each pixel, or by interpolation between pixels."""

from typing import Literal

import numpy as np
from scipy import ndimage

from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.wire.base import Message


class Downsample(Message):
    """Coarser sampling: each pixel is the mean of `scale` x `scale` finer ones."""

    kind: Literal["downsample"] = "downsample"
    scale: Literal[2, 3, 4]

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Block means: float32 [Y, X] -> [Y // scale, X // scale]; a remainder at the end is dropped."""
        del rng
        return block_mean(pixels, self.scale)


class Zoom(Message):
    """Coarser sampling by linear interpolation, as the two generations of PSSR do it.

    Without `antialias` each pixel is interpolated from its four neighbours alone, the corners kept in place
    (`scipy.ndimage.zoom` of order 1: PSSR v1): noise passes nearly unchanged. With it each pixel is a mean
    under a triangle twice its size (the bilinear filter of Pillow: PSSR2).
    """

    kind: Literal["zoom"] = "zoom"
    scale: Literal[2, 3, 4]
    antialias: bool = False

    def apply(self, pixels: Grey, rng: np.random.Generator) -> Grey:
        """Interpolate: float32 [Y, X] -> [Y // scale, X // scale]; a remainder at the end is dropped.

        Raises
        ------
        RecipeError
            The image is smaller than one pixel of the result.
        """
        del rng
        rows, columns = _coarse_shape(pixels, self.scale)
        whole = pixels[: rows * self.scale, : columns * self.scale]
        if not self.antialias:
            return np.asarray(ndimage.zoom(whole, 1 / self.scale, order=1), dtype=np.float32)
        down, across = _triangles(rows, self.scale), _triangles(columns, self.scale)
        return np.asarray(down @ whole @ across.T, dtype=np.float32)


def block_mean(pixels: Grey, scale: int) -> Grey:
    """Mean of each `scale` x `scale` block: float32 [Y, X] -> [Y // scale, X // scale].

    Raises
    ------
    RecipeError
        The image is smaller than one block.
    """
    rows, columns = _coarse_shape(pixels, scale)
    blocks = pixels[: rows * scale, : columns * scale].reshape(rows, scale, columns, scale)
    return np.asarray(blocks.mean(axis=(1, 3)), dtype=np.float32)


def _coarse_shape(pixels: Grey, scale: int) -> tuple[int, int]:
    rows, columns = pixels.shape[0] // scale, pixels.shape[1] // scale
    if rows == 0 or columns == 0:
        raise RecipeError(
            f"expected an image of at least {scale} x {scale} pixels to sample it {scale} x coarser, found "
            f"{pixels.shape[0]} x {pixels.shape[1]}; use a larger image or a smaller scale"
        )
    return rows, columns


def _triangles(coarse: int, scale: int) -> Grey:
    """Weights [coarse, coarse * scale] of triangles round the centres of coarse pixels; rows sum to 1."""
    centres = (np.arange(coarse) + 0.5) * scale
    places = np.arange(coarse * scale) + 0.5
    weights = np.clip(1 - np.abs(places[None] - centres[:, None]) / scale, 0, None)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), dtype=np.float32)
