"""How soon a drift is told, and how often one that is none: `python -m benchmark.drift_error --json FILE`.

Drawn series have the scatter that simulated images show, with normal and with heavy tails. Resampled ones
are features of simulated acquisitions, measured as the coordinator measures them; there a method's score
comes with the scatter that other specimens give it.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmark.baselines import classical
from benchmark.cases import repeat_cases
from benchmark.drift import DriftPolicy, Feature, Series, detect
from benchmark.evaluate import evaluate
from benchmark.observation import brightness, observe, relative_noise
from benchmark.scores import method_key
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.degradation.operators import Digitise, ReadNoise, ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.images.frame import Grey
from model_library.specimens import SpecimenKind, render
from model_library.wire.base import Message
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise

_FIRST, _GATE = 28, 8
"""Images of a campaign's baseline, and fields of its gate, which give the score its baseline."""
_WATCHED, _BEFORE = 200, 20
_SIDE_PX, _DOSE, _DECIBEL = 192, 20.0, 10 ** (1 / 20)
_HALF = 0.5

_Values = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], _Values]


class DriftRow(Message):
    """One feature under one kind of scatter.

    Attributes
    ----------
    change
        What happens to it, in words.
    false_alarms_per_10000, images
        Alarms of an instrument that stays as it is, and over how many images.
    within_2, within_3
        Share of the changes that are told at the second, third changed image or before.
    delay
        Mean number of changed images until told, where it is told.
    missed
        Share not told in 30 changed images.
    """

    feature: Feature
    scatter: str
    change: str
    false_alarms_per_10000: float
    images: int
    within_2: float
    within_3: float
    delay: float | None
    missed: float


@dataclass(frozen=True)
class Source:
    """Where values come from: a calm draw, a changed one, how many make the baseline, and the floor."""

    feature: Feature
    scatter: str
    change: str
    calm: Draw
    changed: Draw
    first: int
    floor: float


def measure(source: Source, campaigns: int, seed: int, policy: DriftPolicy) -> DriftRow:
    """Watch so many instruments that stay as they are, and as many that change after 20 images."""
    alarms = images = 0
    delays: list[int | None] = []
    for campaign in range(campaigns):
        rng = np.random.default_rng([seed, campaign])
        told = _told(source, rng, _WATCHED, 0, policy)
        alarms += told is not None
        images += _WATCHED if told is None else told
        told = _told(source, rng, _BEFORE, 30, policy)
        if told is None or told > _BEFORE:
            delays.append(None if told is None else told - _BEFORE)
    found = np.array([each for each in delays if each is not None])
    return DriftRow(
        feature=source.feature,
        scatter=source.scatter,
        change=source.change,
        false_alarms_per_10000=1e4 * alarms / images,
        images=images,
        within_2=float((found <= 2).sum() / len(delays)),
        within_3=float((found <= 3).sum() / len(delays)),
        delay=float(found.mean()) if len(found) else None,
        missed=1 - len(found) / len(delays),
    )


def _told(
    source: Source, rng: np.random.Generator, calm: int, changed: int, policy: DriftPolicy
) -> int | None:
    """Give the number of the returned image at which a drift is told."""
    baseline = source.calm(rng, source.first)
    observed = np.concatenate([source.calm(rng, calm), source.changed(rng, changed)])
    numbered = tuple((number, float(value)) for number, value in enumerate(observed, 1))
    series = Series(source.feature, tuple(map(float, baseline)), numbered, source.floor)
    drift = detect([series], policy)
    return None if drift is None else drift.detected_sequence


def drawn_sources(policy: DriftPolicy) -> list[Source]:
    """Series of the scatter that docs/decisions/0009 measured, normal and heavy-tailed."""
    tails: Sequence[tuple[str, Draw]] = (
        ("normal", lambda rng, count: rng.normal(0, 1, count)),
        ("heavy tails (t5)", lambda rng, count: rng.standard_t(5, count) / np.sqrt(5 / 3)),
    )
    sources = []
    for name, draw in tails:
        sources += [
            _drawn(Feature.NOISE, f"2.4 %, {name}", "noise +1 dB", draw, (0.024, np.log(_DECIBEL)), policy),
            _drawn(Feature.BRIGHTNESS, f"20 %, {name}", "half as bright", draw, (0.2, np.log(_HALF)), policy),
            _drawn(Feature.SCORE, f"0.3 dB, {name}", "score -1 dB", draw, (0.3, -1.0), policy),
        ]
    return sources


def _drawn(
    feature: Feature, scatter: str, change: str, draw: Draw, figures: tuple[float, float], policy: DriftPolicy
) -> Source:
    spread, shift = figures

    def values(rng: np.random.Generator, count: int, shift: float) -> _Values:
        found = shift + spread * draw(rng, count)
        return np.exp(found) if feature.logarithmic else 30 + found

    return Source(
        feature,
        scatter,
        change,
        lambda rng, count: values(rng, count, 0.0),
        lambda rng, count: values(rng, count, shift),
        _GATE if feature is Feature.SCORE else _FIRST,
        _floor(feature, policy),
    )


def simulated_sources(kind: SpecimenKind, images: int, seed: int, policy: DriftPolicy) -> list[Source]:
    """Measure simulated acquisitions: as they were, with 1 dB more noise at the same levels, half as bright.

    Series are resampled from these images, so that the scatter between specimens is that of images.
    """
    noisier = {"electrons_per_pixel": _DOSE / _DECIBEL**2}
    calm = _features(kind, images, seed, None)
    reference = calm.noise
    changed = _features(kind, images, seed + 1, reference, **noisier)
    darker = _features(kind, images, seed + 2, reference, electrons_per_pixel=_DOSE * _HALF, gain=_HALF)
    told = f"{images} simulated images of {kind}"
    return [
        _resampled(Feature.NOISE, told, "noise +1 dB", calm.noises, changed.noises, policy),
        _resampled(Feature.BRIGHTNESS, told, "half the dose", calm.levels, darker.levels, policy),
        _resampled(Feature.SCORE, told, "noise +1 dB", calm.scores, changed.scores, policy),
    ]


@dataclass(frozen=True)
class _Features:
    noise: NoiseModel
    noises: _Values
    levels: _Values
    scores: _Values


def _features(
    kind: SpecimenKind,
    images: int,
    seed: int,
    reference: NoiseModel | None,
    *,
    electrons_per_pixel: float = _DOSE,
    gain: float = 1.0,
) -> _Features:
    """Acquire specimens, and observe and score them as the coordinator does with returned images."""
    recipe = Recipe(
        operators=(
            ShotNoise(electrons_per_pixel=electrons_per_pixel),
            ReadNoise(sigma=0.02),
            Digitise(bits=16, gain=30000 * gain, offset=4000),
        )
    )
    acquired: list[Grey] = []
    for number in range(images):
        rng = np.random.default_rng([seed, number])
        acquired.append(recipe.apply(render(kind, (_SIDE_PX, _SIDE_PX), rng).intensity, rng))
    noise = reference or estimate_noise(acquired[:_FIRST])
    seen = [observe(pixels) for pixels in acquired]
    method = classical(ClassicalRef(id="gaussian"), Denoise())
    pairs = [(str(number), pixels) for number, pixels in enumerate(acquired)]
    cases = repeat_cases(pairs, noise, np.random.default_rng(seed))
    scores = evaluate([method], cases).complete(method_key(method.ref)) or {}
    return _Features(
        noise,
        np.array([relative_noise(each, noise) for each in seen]),
        np.array([brightness(each, noise) for each in seen]),
        np.array(list(scores.values())),
    )


def _resampled(
    feature: Feature, scatter: str, change: str, calm: _Values, changed: _Values, policy: DriftPolicy
) -> Source:
    return Source(
        feature,
        scatter,
        change,
        lambda rng, count: rng.choice(calm, count),
        lambda rng, count: rng.choice(changed, count),
        _GATE if feature is Feature.SCORE else _FIRST,
        _floor(feature, policy),
    )


def _floor(feature: Feature, policy: DriftPolicy) -> float:
    match feature:
        case Feature.NOISE:
            return policy.noise_floor
        case Feature.BRIGHTNESS:
            return policy.brightness_floor
        case Feature.SCORE:
            return policy.score_floor_db


def main(
    campaigns: Annotated[int, typer.Option(min=1, help="Instruments watched, for every row.")] = 500,
    images: Annotated[int, typer.Option(min=_FIRST, help="Simulated images of each kind and state.")] = 60,
    threshold: Annotated[float, typer.Option(min=0.1, help="Limit of the sum.")] = DriftPolicy().threshold,
    seed: Annotated[int, typer.Option(help="Draws everything.")] = 0,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Measure false alarms and delays of the drift test; one row per feature and scatter."""
    policy = DriftPolicy(threshold=threshold)
    sources = drawn_sources(policy)
    for kind in (SpecimenKind.CELLS, SpecimenKind.PARTICLES):
        typer.echo(f"acquiring {kind}", err=True)
        sources += simulated_sources(kind, images, seed + 100, policy)
    rows = []
    for source in sources:
        row = measure(source, campaigns, seed, policy)
        rows.append(row)
        delay = "-" if row.delay is None else f"{row.delay:.1f}"
        typer.echo(
            f"{row.feature:11} {row.scatter:36} {row.change:15}"
            f" {row.false_alarms_per_10000:6.2f} false per 10,000  within 3: {row.within_3:6.1%}"
            f"  mean {delay} images  missed {row.missed:.1%}"
        )
    if json_file is not None:
        content = {
            "policy": policy.model_dump(mode="json"),
            "campaigns": campaigns,
            "seed": seed,
            "rows": [row.model_dump(mode="json") for row in rows],
        }
        json_file.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
