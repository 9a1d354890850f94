"""Scores of methods on images alone, or with labels, in the form in which the selection takes any scores."""

import math
import time
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from benchmark.cases import Case, Labels, Repeat
from benchmark.errors import BenchmarkError
from benchmark.evaluate import Attempt, Shown, scores_of
from benchmark.look import Look
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.scores import Scores, refs_of
from benchmark.selection.label_free.perturbing import perturbed
from benchmark.selection.label_free.restoring import Probe, weigh
from benchmark.selection.label_free.segmenting import Scene, judge
from benchmark.selection.select import Assess
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.errors import SynopticError
from model_library.images.frame import Grey
from model_library.wire.methods import MethodRef
from model_library.wire.tasks import Segment, Task

RESTORING = (Metric.PSNR_SELF, Metric.RING_CORRELATION, Metric.FORWARD_MISFIT)
SEGMENTING = (Metric.PLAUSIBILITY, Metric.CONSISTENCY, Metric.SEPARATION, Metric.CONSENSUS)
LABELLED = (Metric.DICE_EXPECTED, Metric.DICE)
"""What is measured; the first of each ranks (docs/decisions/0020, 0030), where no look is stated (0034)."""

Image = tuple[str, Grey]
"""Field of view, and pixels float32 [Y, X] in counts."""


def label_free(
    task: Task, noise: NoiseModel | None = None, *, seed: int = 0, look: Look | None = None
) -> Assess:
    """Make the assessment that `select` takes: the images of the cases are used, their references never.

    Of a case by recorruption it is the image as acquired. Parameters: see `assess_label_free`.
    """

    def assess(methods: Sequence[Method], cases: Sequence[Case]) -> Scores:
        images = [(case.field, acquired(case)) for case in cases]
        scores = assess_label_free(methods, images, task, noise, seed=seed, look=look)
        return scores.model_copy(update={"names": tuple(case.name for case in cases)})

    return assess


def assess_label_free(
    methods: Sequence[Method],
    images: Sequence[Image],
    task: Task,
    noise: NoiseModel | None = None,
    *,
    seed: int = 0,
    look: Look | None = None,
) -> Scores:
    """Score methods on images without reference or labels by the measure that ranks best.

    Other parameters, refusals: see `assess_all_label_free`.

    Parameters
    ----------
    look
        Of the structure to segment, where it is known: what is found and looks otherwise is not meant.
    """
    ranks = (_segmenting(look) if isinstance(task, Segment) else RESTORING)[0]
    scenes = [Scene(field, pixels, look=look) for field, pixels in images]
    return assess_all_label_free(methods, scenes, task, noise, seed=seed)[ranks]


def assess_all_label_free(
    methods: Sequence[Method],
    scenes: Sequence[Scene],
    task: Task,
    noise: NoiseModel | None = None,
    *,
    seed: int = 0,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Metric, Scores]:
    """Score methods on images without reference or labels by everything that can be measured.

    Parameters
    ----------
    methods
        All of the task. A segmenting one is also held to what the others find, so its score depends
        on them.
    scenes
        Of one instrument, and of one look, if any; their masks are not used.
    noise
        Of the instrument; None measures it on the images.
    seed
        Of the noise that is added. The order of the images changes no score.

    Raises
    ------
    BenchmarkError
        Without images, or if two methods bear the same name.
    """
    if not scenes:
        raise BenchmarkError("expected at least one image, found none; send images first")
    refs = refs_of(methods)
    known = noise or estimate_noise([scene.pixels for scene in scenes])
    shown = [
        Shown(scene.field, f"{number:03d}:{scene.field}", scene.pixels.size)
        for number, scene in enumerate(scenes)
    ]
    if isinstance(task, Segment):
        columns = [_judged(methods, scene, known, seed, clock) for scene in scenes]
        return _put_together(_segmenting(scenes[0].look), refs, columns, shown)
    columns = [_judge_restoring(methods, scene, known, seed, clock) for scene in scenes]
    return _put_together(RESTORING, refs, columns, shown)


def assess_all_labelled(
    methods: Sequence[Method],
    cases: Sequence[Case],
    noise: NoiseModel | None = None,
    *,
    seed: int = 0,
    look: Look | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[Metric, Scores]:
    """Score segmenting methods on labelled images by everything that can be measured.

    Parameters
    ----------
    cases
        Labelled, of one instrument.
    methods, noise, seed
        See `assess_all_label_free`.
    look
        Of the structure, for the measures without labels.

    Raises
    ------
    BenchmarkError
        Without cases, or if two methods bear the same name.
    """
    known = noise or measured_on(cases)
    columns = [_judged(methods, Scene.of(case, look), known, seed, clock) for case in cases]
    shown = [Shown(case.field, case.name, case.input.size) for case in cases]
    return _put_together((*LABELLED, *_segmenting(look)), refs_of(methods), columns, shown)


def measured_on(cases: Sequence[Case]) -> NoiseModel:
    """Measure the noise of labelled images.

    Raises
    ------
    BenchmarkError
        Without cases, or with one that is not labelled.
    """
    if not cases or not all(isinstance(case.reference, Labels) for case in cases):
        found = ", ".join(type(case.reference).__name__.lower() for case in cases[:5]) or "none"
        raise BenchmarkError(f"expected labelled images, found {found}; label one image or more")
    return estimate_noise([case.input for case in cases])


def _segmenting(look: Look | None) -> tuple[Metric, ...]:
    """Name what is measured of a segmentation without labels."""
    return SEGMENTING if look is None else (Metric.PLAUSIBILITY_STATED, *SEGMENTING)


def _judged(
    methods: Sequence[Method],
    scene: Scene,
    noise: NoiseModel,
    seed: int,
    clock: Callable[[], float],
) -> list[Attempt]:
    changes = perturbed(scene.pixels, noise, chance(scene.pixels, seed))
    return judge(methods, scene, changes, clock)


def _put_together(
    metrics: Sequence[Metric],
    refs: Mapping[str, MethodRef],
    columns: Sequence[Sequence[Attempt]],
    shown: Sequence[Shown],
) -> dict[Metric, Scores]:
    """Turn attempts [image][method] into scores by each metric."""
    rows = {key: [column[number] for column in columns] for number, key in enumerate(refs)}
    return {metric: scores_of(metric, refs, rows, shown) for metric in metrics}


def _judge_restoring(
    methods: Sequence[Method],
    scene: Scene,
    noise: NoiseModel,
    seed: int,
    clock: Callable[[], float],
) -> list[Attempt]:
    probe = Probe.of(scene.pixels, noise, chance(scene.pixels, seed))
    attempts = []
    for method in methods:
        start = clock()
        try:
            figures = weigh(method, probe)
        except SynopticError as refusal:
            attempts.append(Attempt({}, clock() - start, f"{scene.field}: {refusal}"))
            continue
        finite = all(math.isfinite(value) for value in figures.values())
        why = None if finite else f"{scene.field}: expected finite scores, found pixels that give none"
        attempts.append(Attempt(figures if finite else {}, clock() - start, why))
    return attempts


def chance(pixels: Grey, seed: int) -> np.random.Generator:
    """Take chance from the content: an image draws the same noise wherever it stands in the order."""
    return np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(pixels).tobytes())])


def acquired(case: Case) -> Grey:
    """Take the image [Y, X] of a case as the instrument delivered it."""
    return case.reference.pair.acquired if isinstance(case.reference, Repeat) else case.input
