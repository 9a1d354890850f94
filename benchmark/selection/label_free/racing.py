"""A race by what images tell of themselves: a network is judged on a crop only when the race asks."""

import math
import time
from collections.abc import Callable
from functools import partial

from benchmark.cases import Case
from benchmark.evaluate import Attempt
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.selection.label_free.assess import acquired, chance
from benchmark.selection.label_free.restoring import Probe, self_psnr
from benchmark.selection.race import Judge, race
from benchmark.selection.select import Assess
from benchmark.served import served
from model_library.degradation.noise import NoiseModel
from model_library.errors import SynopticError

_PROBES = 16
"""Kept at a time: all networks see the crops between two looks before any sees the next."""


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


def judge_on_itself(
    noise: NoiseModel, *, seed: int = 0, clock: Callable[[], float] = time.perf_counter
) -> Judge:
    """Make the judge of such a race; every network is shown the same changes of a crop."""
    probes: dict[str, Probe] = {}

    def probe_of(case: Case) -> Probe:
        if case.name not in probes:
            if len(probes) >= _PROBES:
                del probes[next(iter(probes))]
            pixels = acquired(case)
            probes[case.name] = Probe.of(pixels, noise, chance(pixels, seed))
        return probes[case.name]

    def judge(method: Method, case: Case) -> Attempt:
        probe = probe_of(case)
        start = clock()
        try:
            value = self_psnr(served(method, case.pixel_size_nm), probe)
        except SynopticError as refusal:
            return Attempt({Metric.PSNR_SELF: None}, clock() - start, f"{case.name}: {refusal}")
        if math.isfinite(value):
            return Attempt({Metric.PSNR_SELF: value}, clock() - start)
        why = f"{case.name}: expected a finite score, found pixels or a risk that give none"
        return Attempt({Metric.PSNR_SELF: None}, clock() - start, why)

    return judge
