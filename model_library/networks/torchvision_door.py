"""The one door to torchvision, also where its compiled operators do not load.

On a torch without CUDA, torchvision from the package index brings operators compiled for CUDA: they
do not load, and then `import torchvision` itself fails. Import this module before anything else
that imports torchvision; it does nothing but that where the compiled operators load.
"""

import importlib.util
from pathlib import Path

import torch

from model_library.networks.region_ops import Pooling, pool_regions, suppress

_SUPPRESS = "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
_QUANTISED = "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _compiled_operators_load() -> bool:
    spec = importlib.util.find_spec("torchvision")
    folders = [] if spec is None else spec.submodule_search_locations or []
    for library in (path for folder in folders for path in Path(folder).glob("_C.*")):
        try:
            torch.ops.load_library(library)  # type: ignore[no-untyped-call]
        except OSError:
            continue
        return True
    return False


COMPILED = _compiled_operators_load()
"""Whether torchvision's own operators are used."""

if not COMPILED:
    # torchvision describes these two to the compiler when it is imported, and fails without them.
    _operators = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    _operators.define(_SUPPRESS)  # type: ignore[no-untyped-call]
    _operators.define(_QUANTISED)  # type: ignore[no-untyped-call]
    _operators.impl("nms", suppress, "CompositeExplicitAutograd")  # type: ignore[no-untyped-call]

import torchvision  # type: ignore[import-untyped]  # noqa: E402

if not COMPILED:
    torchvision.ops.boxes._assert_has_ops = lambda: None
    torchvision.ops.roi_align.__globals__["_roi_align"] = (
        lambda features, regions, scale, rows, columns, samples, aligned: pool_regions(
            features, regions, Pooling(scale, rows, columns, samples, aligned)
        )
    )

__all__ = ["COMPILED", "torchvision"]
