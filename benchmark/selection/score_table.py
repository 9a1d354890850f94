"""Scores of real networks and algorithms on every crop, from which races can be replayed at no cost."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from pydantic import Field

from benchmark.baselines import ClassicalMethod
from benchmark.baselines.denoise import DENOISERS
from benchmark.cases import Case, Truth
from benchmark.evaluate import evaluate
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.micrographs import read_folder
from benchmark.networks import as_method
from benchmark.scores import method_key
from benchmark.selection.label_free.racing import judge_on_itself
from benchmark.selection.pairs import pair_cases, places
from benchmark.selection.tolerance import near_tie
from benchmark.suite import HELD_OUT_SEED_OFFSET
from model_library.degradation.noise import estimate_noise
from model_library.degradation.operators import ReadNoise, ShotNoise, block_mean
from model_library.images.frame import Grey
from model_library.specimens import SpecimenKind
from model_library.wire.base import Message
from model_library.wire.tasks import Denoise
from model_library.zoo.pools import simulated
from model_library.zoo.recipe import SpecimenPool
from model_library.zoo.registry import Library

CROP_PX = 96
_SIDE_PX = 512
_KINDS = (SpecimenKind.CELLS, SpecimenKind.PRECIPITATES, SpecimenKind.PARTICLES, SpecimenKind.CRYO_EM)
_ENSEMBLES = 3
"""Networks that take part a second time, averaged over eight turned images: near-ties of their own."""


class ScoreTable(Message):
    """What every racer scores on every crop.

    Attributes
    ----------
    images
        In words.
    fields, names
        Image and name of each crop.
    values
        Racer -> score per crop.
    seconds
        Racer -> wall time over all crops.
    near_tie
        Difference of means that decides nothing, in the metric's unit.
    truth
        Racer -> mean PSNR of the whole images against their truth, in dB; empty where `values` are against
        the truth.
    """

    images: str
    metric: Metric
    fields: tuple[str, ...]
    names: tuple[str, ...]
    values: dict[str, tuple[float, ...]]
    seconds: dict[str, float]
    near_tie: float
    truth: dict[str, float] = Field(default_factory=dict)


def build_table(
    folder: Path | None, *, images: int, crops: int, seed: int, tell: Callable[[str], None]
) -> ScoreTable:
    """Run 16 denoisers on every crop of images to which shot and read noise was added.

    Parameters
    ----------
    folder
        Of clean micrographs, binned 2 x 2 against their own noise; None for simulated specimens.
    images, crops
        How many images at most, and crops of each.
    """
    rng = np.random.default_rng([seed + HELD_OUT_SEED_OFFSET, 7])
    clean = _specimens(images, rng) if folder is None else _micrographs(folder, images)
    cases = _noisy(clean, crops, rng)
    return table_of(_told(folder), _racers(), cases, tell)


def build_self_table(
    folder: Path | None, *, images: int, crops: int, seed: int, tell: Callable[[str], None]
) -> ScoreTable:
    """Run the denoisers of `build_table`, but no ensembles, and score each crop by `psnr_self`.

    No score is held against the truth, which is told beside; a score costs eight runs of a method.
    """
    rng = np.random.default_rng([seed + HELD_OUT_SEED_OFFSET, 7])
    clean = _specimens(images, rng) if folder is None else _micrographs(folder, images)
    acquired = [(f"{number}", _acquired(image, rng)) for number, image in enumerate(clean)]
    noise = estimate_noise([pixels for _, pixels in acquired])
    cases = pair_cases(acquired, noise, rng, crop_px=CROP_PX, crops=crops)
    whole = [
        Case(field, field, pixels, Truth.of(image))
        for (field, pixels), image in zip(acquired, clean, strict=True)
    ]
    judge = judge_on_itself(noise, seed=seed)
    values: dict[str, tuple[float, ...]] = {}
    seconds: dict[str, float] = {}
    truth: dict[str, float] = {}
    for name, method in _racers(ensembles=0):
        tell(f"{name} on {len(cases)} crops")
        attempts = [judge(method, case) for case in cases]
        scores = (each.scores[Metric.PSNR_SELF] for each in attempts)
        values[name] = tuple(score for score in scores if score is not None)
        seconds[name] = sum(each.seconds for each in attempts)
        held = evaluate([method], whole)
        truth[name] = held.mean(method_key(held.only)) or math.nan
    table = _table(_told(folder), Metric.PSNR_SELF, cases, values, seconds)
    return table.model_copy(update={"truth": truth})


def table_of(
    images: str, methods: Sequence[tuple[str, Method]], cases: Sequence[Case], tell: Callable[[str], None]
) -> ScoreTable:
    """Score methods on every case by what its reference asks for."""
    values: dict[str, tuple[float, ...]] = {}
    seconds: dict[str, float] = {}
    for name, method in methods:
        tell(f"{name} on {len(cases)} images")
        scores = evaluate([method], cases)
        [(key, row)] = scores.values.items()
        values[name] = tuple(value for value in row if value is not None)
        seconds[name] = scores.seconds[key]
    return _table(images, scores.metric, cases, values, seconds)


def _table(
    images: str,
    metric: Metric,
    cases: Sequence[Case],
    values: dict[str, tuple[float, ...]],
    seconds: dict[str, float],
) -> ScoreTable:
    best = max(values.values(), key=lambda row: float(np.mean(row)))
    return ScoreTable(
        images=images,
        metric=metric,
        fields=tuple(case.field for case in cases),
        names=tuple(case.name for case in cases),
        values=values,
        seconds=seconds,
        near_tie=near_tie(metric, [case.reference for case in cases], best),
    )


def _told(folder: Path | None) -> str:
    return "simulated specimens" if folder is None else f"micrographs of {folder.parent.name}/{folder.name}"


def _racers(ensembles: int = _ENSEMBLES) -> list[tuple[str, Method]]:
    library = Library()
    networks = [library.load(card.id) for card in library.for_task(Denoise())]
    found: list[tuple[str, Method]] = [(each.card.id, as_method(each)) for each in networks]
    found += [
        (f"{each.card.id} x8", as_method(each, self_ensemble=True))
        for each in networks[len(networks) - ensembles :]
    ]
    variants = {
        "gaussian": (1.136, 1.342),
        "tv": (0.8, 1.008, 1.27),
        "wavelet": (1.008,),
        "nlm": (0.5801, 0.8274),
    }
    for family in DENOISERS:
        for value in variants.get(family.id, ()):
            first = next(iter(family.grid))
            found.append((f"{family.id} {value:g}", ClassicalMethod(family, {**family.start, first: value})))
    return found


def _specimens(images: int, rng: np.random.Generator) -> list[Grey]:
    pool = SpecimenPool(kinds=_KINDS, images=images, side_px=_SIDE_PX)
    return [specimen.intensity for specimen in simulated(pool, rng)]


def _micrographs(folder: Path, images: int) -> list[Grey]:
    read = [block_mean(image.pixels, 2) for image in read_folder(folder, at_most=images).images[:images]]
    bounds = [np.percentile(image, (0.1, 99.9)) for image in read]
    return [
        np.clip((image - low) / max(float(high - low), 1e-6), 0, 1).astype(np.float32)
        for image, (low, high) in zip(read, bounds, strict=True)
    ]


def _noisy(clean: Sequence[Grey], crops: int, rng: np.random.Generator) -> list[Case]:
    cases: list[Case] = []
    for number, image in enumerate(clean):
        acquired = _acquired(image, rng)
        for window in places(image.shape, CROP_PX, crops, rng):
            truth = Truth.of(image[window])
            cases.append(Case(f"{number}", f"{number}:{len(cases)}", acquired[window], truth))
    return cases


def _acquired(clean: Grey, rng: np.random.Generator) -> Grey:
    shot, read = ShotNoise(electrons_per_pixel=30.0), ReadNoise(sigma=1 / 30)
    return read.apply(shot.apply(clean, rng), rng)
