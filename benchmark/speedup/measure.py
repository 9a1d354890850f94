"""The 16x question: acquire less, restore, and compare with the full acquisition."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmark.baselines import ClassicalMethod, tune
from benchmark.baselines.denoise import GAUSSIAN, TV
from benchmark.baselines.super_resolve import BICUBIC, GAUSSIAN_BICUBIC, TV_BICUBIC
from benchmark.cases import Case, Truth, score
from benchmark.errors import BenchmarkError
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.micrographs import read_folder
from benchmark.speedup.curve import Curve, curve_of
from benchmark.suite import HELD_OUT_SEED_OFFSET
from model_library.degradation.operators import ReadNoise, ShotNoise, block_mean
from model_library.images.frame import Grey
from model_library.specimens import SpecimenKind
from model_library.wire.base import Message
from model_library.zoo.pools import simulated
from model_library.zoo.recipe import SpecimenPool

_KINDS = (SpecimenKind.CELLS, SpecimenKind.PRECIPITATES, SpecimenKind.PARTICLES)
_TUNING_FIELDS = 3


class FullAcquisition(Message):
    """The acquisition that a restored image has to equal.

    `electrons_per_pixel` at unit intensity; `read_electrons` is the standard deviation of the amplifier's
    noise, in electrons per pixel, the same however few electrons there are.
    """

    electrons_per_pixel: float
    read_electrons: float


class Speedup(Message):
    """What a network saves.

    `curves` holds the network's, then those of classical algorithms that were tuned at every reduction on
    other fields. A reduction of r means that r times fewer electrons reach the same area: by dose or dwell
    time where a network denoises; where it enlarges s times, s * s of it are pixels that are not acquired.
    """

    network: str
    scale: int
    metric: Metric
    full: FullAcquisition
    full_value: float
    specimens: str
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Question:
    """What is measured: reductions ascending; unit-intensity images [Y, X] to tune and to judge on."""

    full: FullAcquisition
    metric: Metric
    reductions: tuple[float, ...]
    tuning: Sequence[Grey]
    judged: Sequence[Grey]
    specimens: str
    seed: int = 0


def measure(method: Method, name: str, question: Question, tell: Callable[[str], None]) -> Speedup:
    """Trace the curve of a network and of its classical rivals.

    Raises
    ------
    BenchmarkError
        Fewer than two images to judge on.
    """
    if len(question.judged) < 2 or not question.tuning:
        raise BenchmarkError(
            f"expected at least 2 images to judge on and 1 to tune rivals on, found {len(question.judged)}"
            f" and {len(question.tuning)}; give more"
        )
    scale, metric = method.scale, question.metric
    full = [_score(each.input, each, metric) for each in _acquired(question, question.judged, 1, 1.0)]
    doses = {
        reduction: question.full.electrons_per_pixel * scale**2 / reduction
        for reduction in question.reductions
    }
    found: dict[str, dict[float, list[float]]] = {}
    for reduction in question.reductions:
        tell(f"reduction {reduction:g}: {doses[reduction]:.1f} electrons per pixel")
        judged = _acquired(question, question.judged, scale, reduction)
        tuning = _acquired(question, question.tuning, scale, reduction)
        for key, each in ((name, method), *_rivals(tuning, scale, metric)):
            values = [_score(each(case.input), case, metric) for case in judged]
            found.setdefault(key, {})[reduction] = values
    return Speedup(
        network=name,
        scale=scale,
        metric=metric,
        full=question.full,
        full_value=float(np.mean(full)),
        specimens=question.specimens,
        curves=tuple(curve_of(key, values, full, doses, metric) for key, values in found.items()),
    )


def simulated_question(
    full: FullAcquisition, metric: Metric, reductions: tuple[float, ...], *, images: int, seed: int
) -> Question:
    """Ask on simulated specimens of seeds that no training drew."""
    rng = np.random.default_rng([seed + HELD_OUT_SEED_OFFSET, 4])
    pool = SpecimenPool(kinds=_KINDS, images=images + _TUNING_FIELDS, side_px=256)
    drawn = [specimen.intensity for specimen in simulated(pool, rng)]
    kinds = ", ".join(_KINDS)
    return Question(
        full,
        metric,
        reductions,
        drawn[:_TUNING_FIELDS],
        drawn[_TUNING_FIELDS:],
        f"{images} simulated specimens ({kinds}) of held-out seeds",
        seed,
    )


def folder_question(
    full: FullAcquisition, metric: Metric, reductions: tuple[float, ...], *, folder: Path, seed: int
) -> Question:
    """Ask on clean micrographs, binned 2 x 2 against their own noise; the middle 256 pixels of each.

    Every third image tunes the rivals.
    """
    images = [_unit(block_mean(image.pixels, 2)) for image in read_folder(folder).images]
    tuning = images[::3][: len(images) // 2]
    judged = [image for number, image in enumerate(images) if number % 3 or len(tuning) <= number // 3]
    return Question(
        full, metric, reductions, tuning, judged, f"{len(judged)} micrographs of {folder.name}", seed
    )


def _unit(pixels: Grey) -> Grey:
    top, left = (max(0, side - 256) // 2 for side in pixels.shape)
    middle = pixels[top : top + 256, left : left + 256]
    low, high = np.percentile(middle, (0.1, 99.9))
    unit = np.clip((middle - low) / max(float(high - low), 1e-6), 0, 1)
    return np.asarray(unit, dtype=np.float32)


def _acquired(question: Question, images: Sequence[Grey], scale: int, reduction: float) -> list[Case]:
    """Acquire images with so many times fewer electrons; equal arguments give equal noise."""
    cases = []
    for number, image in enumerate(images):
        rng = np.random.default_rng([question.seed, number, scale, round(1000 * reduction)])
        height, width = (side // scale * scale for side in image.shape)
        truth = image[:height, :width]
        coarse = block_mean(truth, scale) if scale > 1 else truth
        # A coarse pixel gathers the electrons of all the fine ones that it covers.
        electrons = question.full.electrons_per_pixel * scale**2 / reduction
        counted = ShotNoise(electrons_per_pixel=electrons).apply(coarse, rng)
        noisy = ReadNoise(sigma=question.full.read_electrons / electrons).apply(counted, rng)
        cases.append(Case(f"{number}", f"{number}", noisy, Truth.of(truth)))
    return cases


def _rivals(
    tuning: Sequence[Case], scale: int, metric: Metric
) -> tuple[tuple[str, Method | ClassicalMethod], ...]:
    families = (GAUSSIAN, TV) if scale == 1 else (BICUBIC, GAUSSIAN_BICUBIC, TV_BICUBIC)
    return tuple((family.id, tune(family, tuning, scale=scale, metric=metric)) for family in families)


def _score(pixels: Grey, case: Case, metric: Metric) -> float:
    return score(pixels, case.reference, metric)
