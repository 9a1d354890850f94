"""Objects found against objects that are there, by three conventions that must not be confused."""

from dataclasses import dataclass
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
    overlaps = object_overlaps(found, truth)
    if not overlaps.found + overlaps.true:
        return 1.0
    hits = _matched(overlaps, least_iou)
    return hits / (overlaps.found + overlaps.true - hits)


def panoptic_quality(found: NDArray[Any], truth: NDArray[Any]) -> float:
    """Sum of the IoU of matched objects / (TP + FP / 2 + FN / 2) (Kirillov et al. 2019).

    Objects match where their IoU exceeds one half, so that each has one partner at most.

    Parameters
    ----------
    found, truth
        Labels [Y, X]; 0 is background.

    Returns
    -------
    float
        1 where both are empty.
    """
    overlaps = object_overlaps(found, truth)
    if not overlaps.found + overlaps.true:
        return 1.0
    return float(2 * overlaps.iou[overlaps.iou > 0.5].sum() / (overlaps.found + overlaps.true))


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


@dataclass(frozen=True, slots=True)
class ObjectOverlaps:
    """Objects of two label images that share pixels.

    Attributes
    ----------
    row, column
        int64 [P], labels of an object found and a true one.
    iou
        float64 [P], their intersection over union, above 0.
    found, true
        Objects in either image; numbers without pixels are none.
    """

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    iou: NDArray[np.float64]
    found: int
    true: int


def object_overlaps(found: NDArray[Any], truth: NDArray[Any]) -> ObjectOverlaps:
    """IoU of every object found [Y, X] with every true one that it meets."""
    table = contingency(found, truth)
    areas, true_areas = table.areas_a, table.areas_b
    pairs = table.where((table.a > 0) & (table.b > 0))
    either = areas[pairs.a] + true_areas[pairs.b] - pairs.pixels
    counts = (int(np.count_nonzero(each[1:])) for each in (areas, true_areas))
    return ObjectOverlaps(pairs.a, pairs.b, pairs.pixels / either, *counts)


def _matched(overlaps: ObjectOverlaps, least_iou: float) -> int:
    """Pairs in the largest matching whose IoU all reach a level."""
    reached = overlaps.iou >= least_iou
    rows, columns = overlaps.row[reached], overlaps.column[reached]
    partners = len(np.unique(rows)), len(np.unique(columns))
    if partners == (len(rows), len(columns)):
        return len(rows)
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching

    graph = csr_array((np.ones(len(rows), dtype=bool), (rows, columns)))
    return int(np.count_nonzero(maximum_bipartite_matching(graph) >= 0))


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
