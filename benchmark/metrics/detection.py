"""Objects found against objects that are there, by two conventions that must not be confused."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.metrics.contingency import contingency


def average_precision(found: NDArray[Any], truth: NDArray[Any], least_iou: float = 0.5) -> float:
    """TP / (TP + FP + FN) at an IoU, objects matched so that the most pairs reach it.

    The convention of the 2018 Data Science Bowl and of StarDist (Schmidt et al. 2018), not COCO's.

    Parameters
    ----------
    found, truth
        Labels [Y, X]; 0 is background.
    least_iou
        Intersection over union from which two objects are the same.

    Returns
    -------
    float
        1 where both are empty.
    """
    from scipy.optimize import linear_sum_assignment

    overlap = intersection_over_union(found, truth)
    if not overlap.size:
        return 1.0 if overlap.shape == (0, 0) else 0.0
    reached = overlap >= least_iou
    # Among matchings of equal size the closer one; the sum of all overlaps stays below one match.
    gain = reached + overlap / (2 * min(overlap.shape))
    rows, columns = linear_sum_assignment(gain, maximize=True)
    hits = int(reached[rows, columns].sum())
    return hits / (sum(overlap.shape) - hits)


def coco_ap50(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """Mask AP at IoU 0.5 in COCO's convention (Lin et al. 2014), by pycocotools itself, of one image.

    Area under the precision-recall curve at 101 recalls, objects of all sizes, at most 1000 of them.

    Parameters
    ----------
    found
        Labels [Y, X], numbered from the most to the least certain object: the number is the rank.
    truth
        Labels [Y, X].

    Returns
    -------
    float
        1 where both are empty, as in `average_precision`.
    """
    actual = _masks(truth)
    if not actual:
        return 0.0 if found.any() else 1.0
    return _pycocotools(_masks(found), actual)


def intersection_over_union(found: NDArray[Any], truth: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of every object found with every true one, float64 [found, truth]; unused numbers drop out."""
    table = contingency(found, truth)
    areas, true_areas = table.sum(1)[1:], table.sum(0)[1:]
    shared = table[1:, 1:][areas > 0][:, true_areas > 0]
    either = areas[areas > 0][:, None] + true_areas[true_areas > 0][None] - shared
    return np.asarray(shared / either, dtype=np.float64)


def _masks(labels: NDArray[Any]) -> list[NDArray[np.uint8]]:
    return [np.asfortranarray(labels == number, dtype=np.uint8) for number in np.unique(labels[labels > 0])]


def _pycocotools(found: list[NDArray[np.uint8]], truth: list[NDArray[np.uint8]]) -> float:
    import contextlib
    import io

    from pycocotools import mask  # type: ignore[import-untyped]
    from pycocotools.coco import COCO  # type: ignore[import-untyped]
    from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]

    if not found:
        return 0.0
    rows = [
        {"id": 1 + number, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": runs}
        | {"area": float(mask.area(runs)), "bbox": mask.toBbox(runs).tolist()}
        for number, runs in enumerate(mask.encode(each) for each in truth)
    ]
    height, width = truth[0].shape
    # The package reports on standard output, which belongs to the caller.
    with contextlib.redirect_stdout(io.StringIO()):
        actual = COCO()
        actual.dataset = {
            "images": [{"id": 1, "height": height, "width": width}],
            "categories": [{"id": 1, "name": "object"}],
            "annotations": rows,
        }
        actual.createIndex()
        results = [
            {"image_id": 1, "category_id": 1, "segmentation": mask.encode(each), "score": 1 / (1 + rank)}
            for rank, each in enumerate(found)
        ]
        judged = COCOeval(actual, actual.loadRes(results), "segm")
        judged.params.iouThrs = np.array([0.5])
        judged.params.areaRng, judged.params.areaRngLbl = [[0, 1e10]], ["all"]
        judged.params.maxDets = [1000]
        judged.evaluate()
        judged.accumulate()
    precision = np.asarray(judged.eval["precision"], dtype=np.float64)
    return float(precision[precision > -1].mean())
