"""Multi-scale structural similarity, differentiable (Wang, Simoncelli and Bovik 2003)."""

import torch
from torch import Tensor, nn

from model_library.errors import RecipeError

SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
WINDOW_PX, WINDOW_SIGMA_PX = 11, 1.5
_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2
"""Stabilising constants for a data range of 1: the unit scale."""
_LEAST = 1e-4
"""A factor below this counts as this: a fractional power has no finite slope at 0."""


def scales_for(side_px: int) -> int:
    """How many of the five scales an image has room for: the coarsest one must hold a window.

    Five need a side of more than 160 pixels; 64 pixels hold three, 48 three, 32 two.

    Raises
    ------
    RecipeError
        Not even one window fits.
    """
    fit = [n for n in range(1, len(SCALE_WEIGHTS) + 1) if side_px // 2 ** (n - 1) >= WINDOW_PX]
    if not fit:
        raise RecipeError(
            f"expected patches of at least {WINDOW_PX} pixels for MS-SSIM, found {side_px}; enlarge patch_px"
        )
    return fit[-1]


def ms_ssim(prediction: Tensor, target: Tensor) -> Tensor:
    """MS-SSIM of each image, averaged over batch and channels.

    Parameters
    ----------
    prediction, target
        [N, C, Y, X], float32 on the unit scale (data range 1).

    Returns
    -------
    Tensor
        A scalar, at most 1. Small images use the first `scales_for(side)` weights, scaled to sum
        to 1; windows lie wholly inside the image.
    """
    count = scales_for(min(prediction.shape[-2:]))
    weights = prediction.new_tensor(SCALE_WEIGHTS[:count])
    weights = weights / weights.sum()
    window = _window(prediction)
    factors: list[Tensor] = []
    for number in range(count):
        structure, similarity = _similarity(prediction, target, window)
        if number == count - 1:
            factors.append(similarity)
        else:
            factors.append(structure)
            prediction, target = (nn.functional.avg_pool2d(image, 2) for image in (prediction, target))
    stacked = torch.stack(factors, dim=-1).clamp_min(_LEAST)
    return (stacked**weights).prod(dim=-1).mean()


def _similarity(x: Tensor, y: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
    """Contrast-structure and full similarity, each [N, C], averaged over the windows of an image."""
    mean_x, mean_y = _smooth(x, window), _smooth(y, window)
    variance_x = _smooth(x * x, window) - mean_x**2
    variance_y = _smooth(y * y, window) - mean_y**2
    covariance = _smooth(x * y, window) - mean_x * mean_y
    structure = (2 * covariance + _CONTRAST) / (variance_x + variance_y + _CONTRAST)
    luminance = (2 * mean_x * mean_y + _LUMINANCE) / (mean_x**2 + mean_y**2 + _LUMINANCE)
    return structure.mean(dim=(-2, -1)), (luminance * structure).mean(dim=(-2, -1))


def _window(like: Tensor) -> Tensor:
    places = torch.arange(WINDOW_PX, dtype=like.dtype, device=like.device) - WINDOW_PX // 2
    bell = torch.exp(-(places**2) / (2 * WINDOW_SIGMA_PX**2))
    return bell / bell.sum()


def _smooth(image: Tensor, window: Tensor) -> Tensor:
    channels = image.shape[1]
    rows = window.view(1, 1, -1, 1).expand(channels, 1, -1, 1)
    columns = window.view(1, 1, 1, -1).expand(channels, 1, 1, -1)
    along_y = nn.functional.conv2d(image, rows, groups=channels)
    return nn.functional.conv2d(along_y, columns, groups=channels)
