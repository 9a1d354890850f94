import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from model_library.networks.region_ops import Pooling, pool_regions, suppress
from model_library.networks.torchvision_door import torchvision


def overlap(a: list[float], b: list[float]) -> float:
    both = max(min(a[2], b[2]) - max(a[0], b[0]), 0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    return both / union if union else 0.0


def naive_suppression(boxes: list[list[float]], scores: list[float], threshold: float) -> list[int]:
    kept: list[int] = []
    for number in sorted(range(len(boxes)), key=lambda number: -scores[number]):
        if all(overlap(boxes[number], boxes[other]) <= threshold for other in kept):
            kept.append(number)
    return kept


# Whole numbers, so that no overlap is within rounding of the threshold by accident alone.
corner = st.integers(0, 12)
box = st.tuples(corner, corner, corner, corner).map(
    lambda c: [min(c[0], c[2]), min(c[1], c[3]), max(c[0], c[2]), max(c[1], c[3])]
)


@settings(deadline=None)
@given(st.lists(st.tuples(box, st.integers(0, 5)), max_size=25), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
def test_suppression_keeps_what_the_definition_keeps(found: list[tuple[list[int], int]], threshold: float):
    boxes, scores = [[float(x) for x in each] for each, _ in found], [float(score) for _, score in found]
    kept = suppress(torch.tensor(boxes).reshape(-1, 4), torch.tensor(scores), threshold)
    assert kept.dtype == torch.int64
    assert kept.tolist() == naive_suppression(boxes, scores, threshold)


def bilinear(feature: Tensor, y: float, x: float) -> float:
    """One sample of a feature [Y, X]; 0 more than a pixel outside, the edge's value up to there."""
    height, width = feature.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return 0.0
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = feature[top, left] * (1 - x + left) + feature[top, right] * (x - left)
    lower = feature[bottom, left] * (1 - x + left) + feature[bottom, right] * (x - left)
    return float(upper * (1 - y + top) + lower * (y - top))


def naive_pooling(features: Tensor, regions: Tensor, how: Pooling) -> Tensor:
    result = torch.zeros(len(regions), features.shape[1], how.rows, how.columns, dtype=features.dtype)
    for number, region in enumerate(regions.tolist()):
        shift = 0.5 if how.aligned else 0.0
        x0, y0, x1, y1 = (side * how.spatial_scale - shift for side in region[1:])
        least = 0.0 if how.aligned else 1.0
        tall, wide = max(y1 - y0, least) / how.rows, max(x1 - x0, least) / how.columns
        ny = how.samples if how.samples > 0 else math.ceil(tall)
        nx = how.samples if how.samples > 0 else math.ceil(wide)
        for channel, feature in enumerate(features[int(region[0])]):
            for row in range(how.rows):
                for column in range(how.columns):
                    samples = [
                        bilinear(
                            feature, y0 + (row + (i + 0.5) / ny) * tall, x0 + (column + (j + 0.5) / nx) * wide
                        )
                        for i in range(ny)
                        for j in range(nx)
                    ]
                    result[number, channel, row, column] = sum(samples) / max(len(samples), 1)
    return result


REGIONS = torch.tensor(
    [
        [0, 1.0, 1.0, 9.0, 7.0],
        [1, 2.3, 0.7, 6.1, 11.9],
        [1, -4.0, -3.0, 3.0, 2.0],  # begins outside
        [0, 5.0, 5.0, 40.0, 30.0],  # ends outside
        [0, 50.0, 50.0, 60.0, 60.0],  # lies outside
        [1, 4.0, 4.0, 4.0, 4.0],  # has no area
        [0, 3.2, 3.1, 3.4, 3.9],  # is smaller than a pixel
    ],
    dtype=torch.float64,
)
POOLINGS = [
    Pooling(spatial_scale=1.0, rows=3, columns=2, samples=2, aligned=False),
    Pooling(spatial_scale=0.5, rows=2, columns=2, samples=2, aligned=True),
    Pooling(spatial_scale=1.0, rows=2, columns=3, samples=-1, aligned=False),
    Pooling(spatial_scale=0.5, rows=3, columns=3, samples=0, aligned=True),
    Pooling(spatial_scale=1.0, rows=1, columns=1, samples=1, aligned=False),
]


@pytest.mark.parametrize("how", POOLINGS, ids=str)
def test_pooling_averages_the_samples_of_every_bin(how: Pooling):
    torch.manual_seed(0)
    features = torch.randn(2, 2, 12, 10, dtype=torch.float64)
    assert torch.allclose(pool_regions(features, REGIONS, how), naive_pooling(features, REGIONS, how))


@pytest.mark.parametrize("how", POOLINGS, ids=str)
def test_the_gradient_of_pooling_is_right(how: Pooling):
    features = torch.randn(2, 1, 7, 6, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda given: pool_regions(given, REGIONS, how), (features,))


def test_a_single_row_of_features_is_pooled():
    features = torch.arange(4.0).reshape(1, 1, 1, 4)
    region = torch.tensor([[0, 0.0, 0.0, 4.0, 1.0]])
    how = Pooling(spatial_scale=1.0, rows=1, columns=2, samples=2, aligned=False)
    assert torch.allclose(pool_regions(features, region, how), naive_pooling(features, region, how))


def test_no_regions_give_no_features_and_no_gradient():
    features = torch.rand(1, 2, 4, 4, requires_grad=True)
    pooled = pool_regions(features, torch.empty(0, 5), POOLINGS[0])
    assert pooled.shape == (0, 2, 3, 2)
    pooled.sum().backward()
    assert features.grad is not None
    assert not features.grad.any()


def test_features_of_half_precision_stay_so():
    features = torch.rand(1, 2, 8, 8).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pooled = pool_regions(features, torch.tensor([[0, 1.0, 1.0, 6.0, 6.0]]), POOLINGS[0])
    exact = pool_regions(features.float(), torch.tensor([[0, 1.0, 1.0, 6.0, 6.0]]), POOLINGS[0])
    assert pooled.dtype == torch.bfloat16
    assert torch.equal(pooled, exact.bfloat16())


def test_torchvision_gives_the_same_through_its_own_interface():
    torch.manual_seed(1)
    boxes = torch.rand(40, 4) * 20
    boxes[:, 2:] += boxes[:, :2]
    scores, features = torch.rand(40), torch.randn(2, 3, 16, 16)
    assert torch.equal(torchvision.ops.nms(boxes, scores, 0.4), suppress(boxes, scores, 0.4))
    how = POOLINGS[0]
    pooled = torchvision.ops.roi_align(
        features, REGIONS.float(), (how.rows, how.columns), how.spatial_scale, how.samples, how.aligned
    )
    assert torch.allclose(pooled, pool_regions(features, REGIONS.float(), how), atol=1e-5)


def test_building_other_networks_does_not_load_torchvision():
    import subprocess
    import sys

    script = "import sys, model_library.networks.build; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], timeout=120).returncode == 0
