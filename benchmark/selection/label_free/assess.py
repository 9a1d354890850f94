"""Scores of methods on images alone, in the form in which the selection takes any scores."""

import math
import time
import zlib
from collections.abc import Callable, Sequence

import numpy as np

from benchmark.cases import Case, Repeat
from benchmark.errors import BenchmarkError
from benchmark.evaluate import Attempt, Shown, scores_of
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.scores import Scores, refs_of
from benchmark.selection.label_free.perturbing import perturbed
from benchmark.selection.label_free.restoring import Probe, weigh
from benchmark.selection.label_free.segmenting import Found, find, weigh_together
from benchmark.selection.select import Assess
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.errors import SynopticError
from model_library.images.frame import Grey
from model_library.wire.tasks import Segment, Task

RESTORING = (Metric.PSNR_SELF, Metric.RING_CORRELATION, Metric.FORWARD_MISFIT)
SEGMENTING = (Metric.PLAUSIBILITY, Metric.CONSISTENCY, Metric.SEPARATION, Metric.CONSENSUS)
"""What is measured; the first of each ranks (docs/decisions/0020)."""

Image = tuple[str, Grey]
"""Field of view, and pixels float32 [Y, X] in counts."""


def label_free(task: Task, noise: NoiseModel | None = None, *, seed: int = 0) -> Assess:
    """Make the assessment that `select` takes: the images of the cases are used, their references never.

    Of a case by recorruption it is the image as acquired.
    """

    def assess(methods: Sequence[Method], cases: Sequence[Case]) -> Scores:
        images = [(case.field, acquired(case)) for case in cases]
        scores = assess_label_free(methods, images, task, noise, seed=seed)
        return scores.model_copy(update={"names": tuple(case.name for case in cases)})

    return assess


def assess_label_free(
    methods: Sequence[Method],
    images: Sequence[Image],
    task: Task,
    noise: NoiseModel | None = None,
    *,
    seed: int = 0,
) -> Scores:
    """Score methods on images without reference or labels by the measure that ranks best.

    Parameters, refusals: see `assess_all_label_free`.
    """
    ranks = (SEGMENTING if isinstance(task, Segment) else RESTORING)[0]
    return assess_all_label_free(methods, images, task, noise, seed=seed)[ranks]


def assess_all_label_free(
    methods: Sequence[Method],
    images: Sequence[Image],
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
    images
        Of one instrument.
    noise
        Of the instrument; None measures it on the images.
    seed
        Of the noise that is added. The order of the images changes no score.

    Raises
    ------
    BenchmarkError
        Without images, or if two methods bear the same name.
    """
    if not images:
        raise BenchmarkError("expected at least one image, found none; send images first")
    refs = refs_of(methods)
    known = noise or estimate_noise([pixels for _, pixels in images])
    judge = _judge_segmenting if isinstance(task, Segment) else _judge_restoring
    columns = [judge(methods, image, known, chance(image[1], seed), clock) for image in images]
    rows = {key: [column[number] for column in columns] for number, key in enumerate(refs)}
    shown = [
        Shown(field, f"{number:03d}:{field}", pixels.size) for number, (field, pixels) in enumerate(images)
    ]
    measured = SEGMENTING if isinstance(task, Segment) else RESTORING
    return {metric: scores_of(metric, refs, rows, shown) for metric in measured}


def _judge_restoring(
    methods: Sequence[Method],
    image: Image,
    noise: NoiseModel,
    rng: np.random.Generator,
    clock: Callable[[], float],
) -> list[Attempt]:
    probe = Probe.of(image[1], noise, rng)
    attempts = []
    for method in methods:
        start = clock()
        try:
            figures = weigh(method, probe)
        except SynopticError as refusal:
            attempts.append(Attempt({}, clock() - start, f"{image[0]}: {refusal}"))
            continue
        finite = all(math.isfinite(value) for value in figures.values())
        why = None if finite else f"{image[0]}: expected finite scores, found pixels that give none"
        attempts.append(Attempt(figures if finite else {}, clock() - start, why))
    return attempts


def _judge_segmenting(
    methods: Sequence[Method],
    image: Image,
    noise: NoiseModel,
    rng: np.random.Generator,
    clock: Callable[[], float],
) -> list[Attempt]:
    changes = perturbed(image[1], noise, rng)
    found: dict[int, Found] = {}
    attempts = {}
    for number, method in enumerate(methods):
        start, why = clock(), None
        try:
            found[number] = find(method, image[1], changes)
        except SynopticError as refusal:
            why = f"{image[0]}: {refusal}"
        attempts[number] = Attempt({}, clock() - start, why)
    for number, figures in zip(found, weigh_together(list(found.values())), strict=True):
        attempts[number] = Attempt(figures, attempts[number].seconds)
    return list(attempts.values())


def chance(pixels: Grey, seed: int) -> np.random.Generator:
    """Take chance from the content: an image draws the same noise wherever it stands in the order."""
    return np.random.default_rng([seed, zlib.crc32(np.ascontiguousarray(pixels).tobytes())])


def acquired(case: Case) -> Grey:
    """Take the image [Y, X] of a case as the instrument delivered it."""
    return case.reference.pair.acquired if isinstance(case.reference, Repeat) else case.input
