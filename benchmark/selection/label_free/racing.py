"""Races by what images tell of themselves, and by labels: a network is judged only when the race asks."""

import math
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from benchmark.cases import Case
from benchmark.evaluate import Attempt
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.scores import Scores
from benchmark.selection.label_free.assess import acquired, chance, measured_on
from benchmark.selection.label_free.perturbing import AS_ACQUIRED, Perturbed, perturbed
from benchmark.selection.label_free.restoring import Probe, self_psnr
from benchmark.selection.label_free.segmenting import Scene, find, overlaps
from benchmark.selection.race import Judge, race
from benchmark.selection.select import Assess
from benchmark.served import served
from model_library.degradation.noise import NoiseModel
from model_library.errors import SynopticError

Prepared = TypeVar("Prepared")

_KEPT = 16
"""At a time: all networks see the crops between two looks before any sees the next."""


def race_on_itself(noise: NoiseModel, *, seed: int = 0) -> Assess:
    """Make the race that ranks denoising networks by `PSNR_SELF` on the acquired crops of the cases.

    The references of the cases, pairs by recorruption, only tell how much of a score is the noise of the
    repeat, and so what a near-tie is.

    Parameters
    ----------
    noise
        Of the instrument.
    seed
        Of the order of the crops, and of the noise that is added to them.
    """
    return partial(race, seed=seed, metric=Metric.PSNR_SELF, judge=judge_on_itself(noise, seed=seed))


def race_on_labels(noise: NoiseModel | None = None, *, seed: int = 0) -> Assess:
    """Make the race that ranks segmenting networks by `DICE_EXPECTED` on labelled images.

    Parameters
    ----------
    noise
        Of the instrument; None measures it on the images.
    seed
        Of the order of the images, and of their changes.
    """

    def assess(methods: Sequence[Method], cases: Sequence[Case]) -> Scores:
        judge = judge_on_labels(noise or measured_on(cases), seed=seed)
        return race(methods, cases, seed=seed, metric=Metric.DICE_EXPECTED, judge=judge)

    return assess


def judge_on_itself(
    noise: NoiseModel, *, seed: int = 0, clock: Callable[[], float] = time.perf_counter
) -> Judge:
    """Make the judge of a race by `PSNR_SELF`; every network is shown the same changes of a crop."""

    def prepare(case: Case) -> Probe:
        pixels = acquired(case)
        return Probe.of(pixels, noise, chance(pixels, seed))

    def figure(method: Method, probe: Probe) -> float:
        return self_psnr(method, probe)

    return _judge(Metric.PSNR_SELF, prepare, figure, clock)


def judge_on_labels(
    noise: NoiseModel, *, seed: int = 0, clock: Callable[[], float] = time.perf_counter
) -> Judge:
    """Make the judge of a race by `DICE_EXPECTED`; every network is shown the same changes of an image."""

    def prepare(case: Case) -> tuple[Scene, tuple[Perturbed, ...]]:
        scene = Scene.of(case)
        changes = perturbed(scene.pixels, noise, chance(scene.pixels, seed))
        return scene, tuple(change for change in changes if change.name in AS_ACQUIRED)

    def figure(method: Method, prepared: tuple[Scene, tuple[Perturbed, ...]]) -> float:
        scene, changes = prepared
        assert scene.mask is not None
        return overlaps(find(method, scene.pixels, changes), scene.mask)[Metric.DICE_EXPECTED]

    return _judge(Metric.DICE_EXPECTED, prepare, figure, clock)


def _judge(
    metric: Metric,
    prepare: Callable[[Case], Prepared],
    figure: Callable[[Method, Prepared], float],
    clock: Callable[[], float],
) -> Judge:
    """Prepare each case once for all methods; a refusal, or a figure that is not finite, is no score."""
    kept: dict[str, Prepared] = {}

    def prepared(case: Case) -> Prepared:
        if case.name not in kept:
            if len(kept) >= _KEPT:
                del kept[next(iter(kept))]
            kept[case.name] = prepare(case)
        return kept[case.name]

    def judge(method: Method, case: Case) -> Attempt:
        ready = prepared(case)
        start = clock()
        try:
            value = figure(served(method, case.pixel_size_nm), ready)
        except SynopticError as refusal:
            return Attempt({metric: None}, clock() - start, f"{case.name}: {refusal}")
        if math.isfinite(value):
            return Attempt({metric: value}, clock() - start)
        why = f"{case.name}: expected a finite score, found pixels or a risk that give none"
        return Attempt({metric: None}, clock() - start, why)

    return judge
