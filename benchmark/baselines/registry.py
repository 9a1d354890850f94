"""Which classical algorithms serve a task."""

from benchmark.baselines.denoise import DENOISERS
from benchmark.baselines.family import ClassicalMethod, Family
from benchmark.baselines.pixel_classifier import FOREST_ID
from benchmark.baselines.super_resolve import ENLARGERS
from benchmark.baselines.threshold import THRESHOLDS
from benchmark.baselines.watershed import WATERSHEDS
from benchmark.errors import UnknownMethod
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task


def classical_methods(task: Task) -> tuple[Family, ...]:
    """Every classical algorithm for a task, cheapest first where that is known.

    For segmentation these part two classes: background, and the task's second class. The random forest is
    not among them, because it has to be trained (`train_pixel_classifier`).
    """
    match task:
        case Denoise():
            return DENOISERS
        case SuperResolve():
            return ENLARGERS
        case Segment():
            return (*THRESHOLDS, *WATERSHEDS)


def classical(ref: ClassicalRef, task: Task) -> ClassicalMethod:
    """Rebuild a method from its reference; parameters that it leaves out take their start values.

    Raises
    ------
    UnknownMethod
        No algorithm of this id, version and parameters serves the task.
    """
    if ref.id == FOREST_ID:
        raise UnknownMethod(
            f"expected a method that its parameters describe, found {ref.id}, whose trees were trained on"
            " labelled images and are in no reference; train it again on them, or choose another method"
        )
    families = {family.id: family for family in classical_methods(task)}
    family = families.get(ref.id)
    if family is None or ref.version != "1":
        raise UnknownMethod(
            f"expected version 1 of one of {', '.join(families)} for the task {task.kind},"
            f" found {ref.id} version {ref.version}; update this installation or choose another method"
        )
    unknown = sorted(set(ref.parameters) - set(family.grid))
    if unknown:
        raise UnknownMethod(
            f"expected parameters {', '.join(family.grid) or '(none)'} for {ref.id},"
            f" found {', '.join(unknown)}; update this installation or choose another method"
        )
    return ClassicalMethod(family, {**family.start, **ref.parameters}, task.scale)
