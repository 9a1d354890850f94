"""The metrics as other libraries compute them, scikit-image and scipy first: those are always installed."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metric_speed.scene import Scene
from benchmark.metrics.pointwise import Pixels
from benchmark.metrics.structural import SCALE_WEIGHTS

_WINDOW = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


@dataclass(frozen=True)
class OptionalLibrary:
    """A library that may be missing, and what brings it."""

    module: str
    extra: str

    @property
    def missing(self) -> str | None:
        """Say how to install it, or None where it is installed."""
        if find_spec(self.module) is not None:
            return None
        return f"{self.module} is not installed: pip install 'synoptic[{self.extra}]'"


TORCHMETRICS = OptionalLibrary("torchmetrics", "peers")
MONAI = OptionalLibrary("monai", "peers")
PYCOCOTOOLS = OptionalLibrary("pycocotools", "benchmark")


def least_squares(image: Pixels, truth: Pixels) -> Pixels:
    """Bring an image to the truth's grey scale by numpy's least squares."""
    columns = np.stack([image.ravel(), np.ones(image.size)], axis=1)
    solution, *_ = np.linalg.lstsq(columns, truth.ravel(), rcond=None)
    return np.asarray(solution[0] * image + solution[1])


def ssim(image: Pixels, truth: Pixels, data_range: float, **constants: float) -> float:
    """By scikit-image."""
    from skimage.metrics import structural_similarity

    found: Any = structural_similarity(truth, image, data_range=data_range, **_WINDOW, **constants)  # type: ignore[no-untyped-call]
    return float(found)


def ms_ssim(image: Pixels, truth: Pixels, data_range: float) -> float:
    """By scikit-image, scale by scale; a huge K1 switches its luminance off."""
    from skimage.transform import downscale_local_mean

    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS):
        constants = {} if scale == len(SCALE_WEIGHTS) - 1 else {"K1": 1e12}
        product *= ssim(image, truth, data_range, **constants) ** weight
        image, truth = (downscale_local_mean(each, (2, 2)) for each in (image, truth))  # type: ignore[no-untyped-call]
    return product


def ring_correlation(a: Pixels, b: Pixels) -> NDArray[np.float64]:
    """Correlation per ring [R] by the plain form: whole planes in complex128, rings counted anew."""
    side = len(a)
    hann = np.hanning(side)
    spectra = [
        np.fft.fft2((each.astype(np.float64) - each.mean()) * hann[:, None] * hann[None]) for each in (a, b)
    ]
    radius = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None]) * side
    ring = np.rint(radius).astype(np.int64).ravel()
    parts = (np.real(spectra[0] * np.conj(spectra[1])), *(np.square(np.abs(each)) for each in spectra))
    cross, one, other = (np.bincount(ring, part.ravel())[1 : side // 2 + 1] for part in parts)
    return np.asarray(cross / np.sqrt(one * other), dtype=np.float64)


def contingency_table(found: Pixels, truth: Pixels) -> object:
    """Shared pixels of all labels, by scikit-image."""
    from skimage.metrics import contingency_table as table

    return table(found, truth)  # type: ignore[no-untyped-call]


def overlap_table(found: Pixels, truth: Pixels) -> NDArray[np.float64]:
    """IoU of all objects by scikit-image's contingency table, [found, true]."""
    table: Any = contingency_table(found, truth)
    shared = table.toarray()
    either = shared.sum(1)[1:, None] + shared.sum(0)[None, 1:] - shared[1:, 1:]
    return np.asarray(shared[1:, 1:] / np.maximum(either, 1), dtype=np.float64)


def average_precision(found: Pixels, truth: Pixels) -> float:
    """At IoU 0.5, by scikit-image's table and scipy's assignment."""
    from scipy.optimize import linear_sum_assignment

    reached = overlap_table(found, truth) >= 0.5
    rows, columns = linear_sum_assignment(reached, maximize=True)
    hits = int(reached[rows, columns].sum())
    return hits / (int(found.max()) + int(truth.max()) - hits)


def boundary_f(found: Pixels, truth: Pixels, tolerance_px: float) -> float:
    """By scikit-image's boundaries and scipy's tree of neighbours."""
    from scipy.spatial import KDTree
    from skimage.segmentation import find_boundaries

    places = [np.argwhere(find_boundaries(each, connectivity=1, mode="inner")) for each in (found, truth)]  # type: ignore[no-untyped-call]
    precision, recall = (
        float(np.mean(KDTree(other).query(own)[0] <= tolerance_px))
        for own, other in (tuple(places), tuple(reversed(places)))
    )
    return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True)
class Defects:
    """Objects of a mask: diameters of whole ones, px; how many count, per megapixel; share of the area."""

    diameters_px: NDArray[np.float64]
    density_per_megapixel: float
    area_fraction: float

    def distance(self, other: "Defects", edges: Sequence[float]) -> float:
        """Greatest difference of the shares of smaller objects, at any of the edges."""
        below = [np.searchsorted(np.sort(each.diameters_px), edges) for each in (self, other)]
        shares = [count / len(each.diameters_px) for count, each in zip(below, (self, other), strict=True)]
        return float(np.max(np.abs(shares[0] - shares[1])))


def defects(labels: Pixels) -> Defects:
    """By scikit-image: objects that touch at corners are one, those below 9 px none.

    Gundersen's frame: what touches the upper or left edge does not count; only whole ones have a size.
    """
    from skimage.measure import label, regionprops

    inside = labels > 0
    found: Any = label(inside, connectivity=2)  # type: ignore[no-untyped-call]
    objects: Any = [each for each in regionprops(found) if each.area >= 9]  # type: ignore[no-untyped-call]
    counted = [each for each in objects if each.bbox[0] > 0 and each.bbox[1] > 0]
    bottom, right = labels.shape
    whole = [each for each in counted if each.bbox[2] < bottom and each.bbox[3] < right]
    return Defects(
        np.array([each.equivalent_diameter_area for each in whole]),
        len(counted) / labels.size * 1e6,
        float(inside.mean()),
    )


def torchmetrics_functional(name: str) -> Any:  # noqa: ANN401 - a module of an untyped package
    """Import a part of torchmetrics, which needs torchvision, which has one door."""
    import importlib

    importlib.import_module("model_library.networks.torchvision_door")
    import torchmetrics.functional

    return importlib.import_module(f"{torchmetrics.functional.__name__}.{name}")


def torch_ssim(scene: Scene) -> Callable[[], float]:
    """SSIM by torchmetrics, in single precision; it mirrors the image at its border."""
    import torch

    judge = torchmetrics_functional("image").structural_similarity_index_measure
    image, truth = (torch.from_numpy(each).float()[None, None] for each in (scene.image, scene.truth))
    return lambda: float(judge(image, truth, data_range=scene.data_range))


def monai_ssim(scene: Scene) -> Callable[[], float]:
    """SSIM by MONAI, in single precision; grey values are given as shares of the range for its sake."""
    import torch
    from monai.metrics.regression import SSIMMetric

    judge: Any = SSIMMetric(spatial_dims=2, data_range=1.0)
    image, truth = (
        torch.from_numpy(each / scene.data_range).float()[None, None] for each in (scene.image, scene.truth)
    )
    return lambda: float(judge(image, truth))


def torch_dice(scene: Scene) -> Callable[[], float]:
    """Dice of the foreground by torchmetrics."""
    import torch

    judge = torchmetrics_functional("segmentation").dice_score
    found, truth = (
        torch.from_numpy((each > 0).astype(np.int64))[None] for each in (scene.found, scene.objects)
    )
    asked = {"num_classes": 2, "include_background": False, "input_format": "index", "average": "micro"}

    def score() -> float:
        # It warns at every call that a default will change, also where the argument is given.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            return float(judge(found, truth, **asked))

    return score


def torch_panoptic(scene: Scene) -> Callable[[], float]:
    """Panoptic quality of the objects by torchmetrics."""
    import torch

    judge = torchmetrics_functional("detection").panoptic_quality
    found, truth = (
        torch.from_numpy(np.stack([each > 0, each], axis=-1).astype(np.int64))[None]
        for each in (scene.found, scene.objects)
    )
    # Class 1 are objects, class 0 is background; objects come first in what it returns.
    return lambda: float(judge(found, truth, things={1}, stuffs={0}, return_per_class=True)[0, 0])
