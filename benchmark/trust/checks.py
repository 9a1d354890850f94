"""The checks of one method on the images of one instrument."""

from dataclasses import dataclass, field

import numpy as np

from benchmark.method import Method
from benchmark.trust.contradiction import Spot, contradictions
from benchmark.trust.doubt import CANNOT_TELL, noise_in_doubt
from benchmark.trust.findings import Check, Finding, TrustLimits
from benchmark.trust.forward import residual
from benchmark.trust.invention import (
    CONTRAST_MARGIN_PX,
    Invention,
    blank_field,
    invention,
    noise_only,
)
from benchmark.trust.planting import kept
from model_library.degradation.noise import NoiseModel
from model_library.images.frame import Grey
from model_library.wire.tasks import Segment, Task

_PLANTED_IN = 2
"""Images that blobs are put into: each of 256 x 256 pixels takes some 16."""
NOISE_SIDE_PX = 256


@dataclass(frozen=True)
class Specimen:
    """What the checks are made on: acquired images, float32 [Y, X] in counts, and their noise."""

    images: tuple[Grey, ...]
    noise: NoiseModel
    task: Task


@dataclass(frozen=True)
class Seen:
    """What the checks saw, for pictures: results of the images, spots on each, and what noise became."""

    results: tuple[Grey, ...] = ()
    spots: tuple[tuple[Spot, ...], ...] = ()
    invention: Invention | None = None


@dataclass(frozen=True)
class Checked:
    """Findings of a method, and what they were read off."""

    findings: tuple[Finding, ...]
    seen: Seen = field(default_factory=Seen)


def check(method: Method, specimen: Specimen, *, seed: int = 0) -> Checked:
    """Make the checks that need nothing but acquired images: they take a few forward passes.

    Parameters
    ----------
    method
        Restores or segments; a segmenting one is only given noise alone, at the contrast of the images, since
        no acquisition tells which labels are right.
    specimen
        One image at least.
    seed
        Draws noise and places blobs.

    Raises
    ------
    SynopticError
        The method refuses an image or gives pixels that are not finite.
    """
    limits = TrustLimits()
    rng = np.random.default_rng(seed)
    level = float(np.median([np.median(image) for image in specimen.images]))
    given = noise_only(level, specimen.noise, NOISE_SIDE_PX, rng)
    if isinstance(specimen.task, Segment):
        share, stretched = _changed_by_noise(method, specimen, rng), _told_apart(method(given))
        told = (
            f"noise alone, at the contrast of these images, changes the class of {share:.2%} of an even"
            f" field; of nothing but noise, stretched to the full scale, {stretched:.2%} is told apart"
        )
        return Checked((Finding.at_most(Check.INVENTION, share, limits.invention, told),))
    made = invention(method, given, specimen.noise)
    told = f"noise alone becomes structure on {made.share:.2%} of the area"
    invented = Finding.at_most(Check.INVENTION, made.share, limits.invention, told)
    results, spots, found = _against_acquisitions(method, specimen, limits)
    planted = _planted(method, specimen, limits, rng)
    return Checked((*found, invented, planted), Seen(results, spots, made))


def _changed_by_noise(method: Method, specimen: Specimen, rng: np.random.Generator) -> float:
    """Share of an even field that gets another class because of its noise.

    What a segmentation makes of the same field without noise is how it reads the grey value, right or wrong.
    """
    noisy, even = blank_field(specimen.images[0], specimen.noise, NOISE_SIDE_PX, rng)
    changed = method(noisy) != method(even)
    return float(changed[:, CONTRAST_MARGIN_PX:].mean())


def _told_apart(classes: Grey) -> float:
    """Share of the pixels that are not of the most frequent class."""
    counts = np.bincount(classes.astype(np.int64).ravel())
    return float(1 - counts.max() / counts.sum())


def _against_acquisitions(
    method: Method, specimen: Specimen, limits: TrustLimits
) -> tuple[tuple[Grey, ...], tuple[tuple[Spot, ...], ...], tuple[Finding, ...]]:
    results = tuple(method(image) for image in specimen.images)
    doubt = noise_in_doubt(specimen.images, specimen.noise, limits)
    if doubt is not None:
        why = f"{CANNOT_TELL}{doubt}"
        kinds = (Check.FORWARD, Check.WHITENESS, Check.CONTRADICTION)
        return results, (), tuple(Finding.none(kind, why) for kind in kinds)
    pairs = tuple(zip(results, specimen.images, strict=True))
    residuals = [residual(result, image, specimen.noise) for result, image in pairs]
    variance = float(np.mean([one.variance for one in residuals]))
    coarse = float(np.mean([one.coarse_variance for one in residuals]))
    spots = tuple(contradictions(result, image, specimen.noise) for result, image in pairs)
    area = sum(spot.area_px for image in spots for spot in image)
    share = area / sum(image.size for image in specimen.images)
    count = sum(spot.invented for image in spots for spot in image)
    lost = sum(len(image) for image in spots) - count
    return (
        results,
        spots,
        (
            Finding.at_most(
                Check.FORWARD,
                variance,
                limits.forward,
                f"result and acquisition differ by {variance:.2f} of the noise variance",
            ),
            Finding.at_most(
                Check.WHITENESS,
                coarse,
                limits.whiteness,
                f"averaged over 4 x 4 pixels they differ by {coarse:.2f} of what white noise would",
            ),
            Finding.at_most(
                Check.CONTRADICTION,
                share,
                limits.contradiction,
                f"{count} places hold structure that the acquisition excludes, {lost} lack structure that it"
                f" shows: {share:.3%} of the area",
            ),
        ),
    )


def _planted(method: Method, specimen: Specimen, limits: TrustLimits, rng: np.random.Generator) -> Finding:
    shares = [
        share for image in specimen.images[:_PLANTED_IN] for share in kept(method, image, specimen.noise, rng)
    ]
    limit = f"at least {limits.planted:g}"
    if not shares:
        return Finding.none(Check.PLANTED, "the images are too small to plant blobs in", limit)
    value = float(np.median(shares))
    told = f"of {len(shares)} faint blobs put into the images {value:.0%} of the contrast comes through"
    holds = value >= limits.planted
    return Finding(check=Check.PLANTED, value=value, limit=limit, holds=holds, told=told)
