"""Non-maximum suppression and RoIAlign in torch, for where torchvision's compiled ones do not load."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


def suppress(boxes: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Keep boxes that no better box overlaps by more than a threshold: greedy suppression.

    Parameters
    ----------
    boxes
        [N, 4] as x1, y1, x2, y2.
    scores
        [N]; of equal ones the first is the better.
    iou_threshold
        Intersection over union that is still kept.

    Returns
    -------
    int64 [K], indices of the kept boxes, best first.
    """
    order = torch.sort(scores, descending=True, stable=True).indices
    left, top, right, bottom = boxes.detach()[order].cpu().float().numpy().T.copy()
    areas = (right - left) * (bottom - top)
    alive = np.ones(len(areas), dtype=bool)
    for best in range(len(areas)):
        if not alive[best]:
            continue
        rest = slice(best + 1, None)
        width = np.minimum(right[best], right[rest]) - np.maximum(left[best], left[rest])
        height = np.minimum(bottom[best], bottom[rest]) - np.maximum(top[best], top[rest])
        both = np.maximum(width, 0) * np.maximum(height, 0)
        with np.errstate(invalid="ignore"):  # two boxes without area: 0 / 0, and both are kept
            alive[rest] &= ~(both / (areas[best] + areas[rest] - both) > np.float64(iou_threshold))
    return order[torch.from_numpy(alive).to(order.device)]


@dataclass(frozen=True, slots=True)
class Pooling:
    """How RoIAlign (He et al. 2017) samples a region.

    Attributes
    ----------
    spatial_scale
        Feature pixels per box unit.
    rows, columns
        Bins of the result.
    samples
        Per bin and axis; 0 or less means one for each feature pixel.
    aligned
        Put pixel centres at half-integer places.
    """

    spatial_scale: float
    rows: int
    columns: int
    samples: int
    aligned: bool


def pool_regions(features: Tensor, regions: Tensor, pooling: Pooling) -> Tensor:
    """Average bilinear samples of features in the bins of each region.

    The samples of a bin form a grid, so each bin is a weighted sum of rows of a weighted sum of
    columns: two small matrix products a region.

    Parameters
    ----------
    features
        [N, C, Y, X].
    regions
        [K, 5]: number of the image, x1, y1, x2, y2.
    pooling
        How to sample.

    Returns
    -------
    [K, C, rows, columns]; gradients reach the features only.
    """
    result: Tensor = _PoolRegions.apply(features, regions.detach(), pooling)  # type: ignore[no-untyped-call]
    return result


class _PoolRegions(torch.autograd.Function):
    """Slices of a large tensor, written so that each gradient is added where it belongs.

    Autograd would make a gradient of the size of all features for every region.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, regions: Tensor, pooling: Pooling) -> Tensor:  # noqa: ANN401
        ctx.weights = _Weights.of(features, regions, pooling)
        ctx.shape = features.shape
        result = features.new_empty((len(regions), features.shape[1], pooling.rows, pooling.columns))
        with torch.autocast(features.device.type, enabled=False):
            for number, (place, rows, columns) in enumerate(ctx.weights.windows()):
                result[number] = (rows @ features[place].to(rows.dtype) @ columns.T).to(features.dtype)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        total = gradient.new_zeros(ctx.shape)
        with torch.autocast(gradient.device.type, enabled=False):
            for number, (place, rows, columns) in enumerate(ctx.weights.windows()):
                total[place] += (rows.T @ gradient[number].to(rows.dtype) @ columns).to(total.dtype)
        return total, None, None


@dataclass(frozen=True, slots=True)
class _Weights:
    """Share of each feature row and column in each bin of each region.

    Attributes
    ----------
    places
        Number of the image of each region, K of them.
    rows, columns
        [K, bins, Y] and [K, bins, X].
    """

    places: list[int]
    rows: Tensor
    columns: Tensor

    @classmethod
    def of(cls, features: Tensor, regions: Tensor, pooling: Pooling) -> Self:
        exact = regions.to(torch.float64 if features.dtype == torch.float64 else torch.float32)
        left, top, right, bottom = exact[:, 1:].T * pooling.spatial_scale - (0.5 if pooling.aligned else 0.0)
        least = 0.0 if pooling.aligned else 1.0
        width, height = (right - left).clamp(min=least), (bottom - top).clamp(min=least)
        return cls(
            places=[int(place) for place in exact[:, 0].tolist()],
            rows=_axis_weights(top, height, pooling.rows, pooling.samples, features.shape[2]),
            columns=_axis_weights(left, width, pooling.columns, pooling.samples, features.shape[3]),
        )

    def windows(self) -> Iterator[tuple[tuple[Any, ...], Tensor, Tensor]]:
        """Give each region's window in [N, C, Y, X], and the weights of its rows and its columns."""
        rows, columns = _spans(self.rows), _spans(self.columns)
        for number, place in enumerate(self.places):
            y, x = rows[number], columns[number]
            yield (place, slice(None), y, x), self.rows[number][:, y], self.columns[number][:, x]


def _spans(weights: Tensor) -> list[slice]:
    """Where the weights [K, bins, length] of each region are not all 0."""
    used = (weights != 0).any(dim=1)
    first = used.int().argmax(dim=1)
    last = used.shape[1] - used.flip(1).int().argmax(dim=1)
    return [
        slice(begin, end if some else begin)
        for begin, end, some in zip(first.tolist(), last.tolist(), used.any(dim=1).tolist(), strict=True)
    ]


def _axis_weights(start: Tensor, extent: Tensor, bins: int, samples: int, length: int) -> Tensor:
    """Average the bilinear weights of the samples along one axis.

    Parameters
    ----------
    start, extent
        Of each region, [K], feature pixels.
    bins, samples
        As in `Pooling`.
    length
        Of the axis, feature pixels.

    Returns
    -------
    [K, bins, length]; a sample more than one pixel outside counts as 0.
    """
    count = torch.full_like(extent, samples) if samples > 0 else torch.ceil(extent / bins)
    most = max(1, int(count.max())) if len(count) else 1
    steps = torch.arange(most, device=start.device)
    inside_bin = (steps + 0.5) / count.clamp(min=1)[:, None]
    edges = torch.arange(bins, device=start.device)
    at = start[:, None, None] + (edges[:, None] + inside_bin[:, None, :]) * (extent / bins)[:, None, None]
    valid = (at >= -1) & (at <= length) & (steps < count[:, None])[:, None, :]
    at = at.clamp(0, length - 1)
    below = at.floor().clamp(max=max(length - 2, 0))
    share = (valid / count.clamp(min=1)[:, None, None]).to(at.dtype)
    weights = at.new_zeros((*at.shape[:2], length))
    weights.scatter_add_(2, below.long(), share * (1 - (at - below)))
    weights.scatter_add_(2, (below.long() + 1).clamp(max=length - 1), share * (at - below))
    return weights
