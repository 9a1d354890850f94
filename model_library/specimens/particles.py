"""Particles: metal powders, agglomerates and nanoparticles on a support."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model_library.images.frame import Grey
from model_library.specimens.drawing import coverage, developed, log_uniform, offsets, scattered, window_at
from model_library.specimens.specimen import Specimen, renumbered
from model_library.specimens.texture import rough_field, smooth_field


@dataclass(frozen=True, slots=True)
class _Surface:
    """How electrons leave a particle's surface.

    Attributes
    ----------
    base, edge, tilt
        Brightness in the middle, its rise towards the rim, its change across the particle.
    relief
        float32 [Y, X], roughness of the surface.
    through
        Whether electrons are transmitted (a particle darkens by its thickness) rather than emitted.
    """

    base: float
    edge: float
    tilt: tuple[float, float]
    relief: Grey
    through: bool


def render(shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw particles on a support; label `particle`, mask [Y, X], and the visible part of each particle."""
    image = np.full(shape, rng.uniform(0.05, 0.4), dtype=np.float32)
    ground = rough_field(shape, rng, slope=rng.uniform(0.5, 1.8), longest_px=log_uniform(rng, 5, 80))
    image += np.float32(rng.uniform(0.01, 0.08)) * ground
    surface = _surface(shape, rng)
    if surface.through:
        image += np.float32(0.6)
    owner = np.zeros(shape, dtype=np.int32)
    largest, agglomerate = log_uniform(rng, 6, 70), rng.random() < 0.4
    share, covered = rng.uniform(0.1, 0.8), 0.0
    for y, x in scattered(shape, rng, 25 if agglomerate else 150, largest / 2):
        radius = float(np.clip(largest * rng.lognormal(-0.5, 0.5), 2.5, 1.3 * largest))
        if agglomerate:
            _draw_agglomerate(image, owner, (y, x, radius), surface, rng)
        else:
            _draw(image, owner, (y, x, radius), surface, rng)
        covered += np.pi * radius**2 / image.size
        if covered > share:
            break
    return Specimen(developed(image, rng), {"particle": owner > 0}, {"particle": renumbered(owner)})


def _surface(shape: tuple[int, int], rng: np.random.Generator) -> _Surface:
    relief = rough_field(shape, rng, slope=rng.uniform(0.4, 1.4), longest_px=log_uniform(rng, 4, 30))
    if rng.random() < 0.4:
        relief = np.abs(smooth_field(shape, rng, log_uniform(rng, 4, 14))) - np.float32(0.8)
    return _Surface(
        base=rng.uniform(0.35, 0.6),
        edge=rng.uniform(0.1, 0.6),
        tilt=(rng.normal(0, 0.15), rng.normal(0, 0.15)),
        relief=np.float32(rng.uniform(0.02, 0.12)) * relief,
        through=bool(rng.random() < 0.25),
    )


def _draw_agglomerate(
    image: Grey,
    owner: NDArray[np.int32],
    place: tuple[float, float, float],
    surface: _Surface,
    rng: np.random.Generator,
) -> None:
    """Pile up small spheres, those in the middle last and brightest."""
    y, x, radius = place
    primary = float(np.clip(radius * rng.uniform(0.12, 0.35), 2.0, 14))
    count = int(min(0.9 * (radius / primary) ** 2, 40)) + 2
    away = rng.normal(0, radius / 2, (count, 2))
    for dy, dx in away[np.argsort(-np.linalg.norm(away, axis=1))]:
        _draw(image, owner, (y + dy, x + dx, primary * rng.uniform(0.6, 1.4)), surface, rng)


def _draw(
    image: Grey,
    owner: NDArray[np.int32],
    place: tuple[float, float, float],
    surface: _Surface,
    rng: np.random.Generator,
) -> None:
    """Lay one (slightly deformed) sphere over what is there, and over the owners [Y, X] of the pixels."""
    y, x, radius = place
    window = window_at(image.shape, y, x, 1.3 * radius + 2)
    if window is None:
        return
    rows, columns = offsets(window, y, x)
    away = np.hypot(rows, columns)
    lobes, phase, depth = int(rng.integers(2, 6)), rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.08)
    outline = np.float32(radius) * (1 + np.float32(depth) * np.cos(lobes * np.arctan2(rows, columns) + phase))
    body = coverage(outline - away)
    height = np.sqrt(np.clip(1 - (away / outline) ** 2, 0, 1))
    if surface.through:
        image[window] -= np.float32(0.5) * body * height * np.float32(min(radius / 12, 1))
    else:
        shading = np.float32(surface.edge) * (1 - height) ** 2
        shading += (surface.tilt[0] * rows + surface.tilt[1] * columns) / np.float32(radius)
        grey = np.float32(surface.base + rng.normal(0, 0.05)) + shading + surface.relief[window]
        shadow = coverage(outline + np.float32(0.15 * radius) - away, 0.15 * radius + 1)
        image[window] *= 1 - np.float32(0.4) * shadow
        image[window] += body * (grey - image[window])
    owner[window][body > 0.5] = owner.max() + 1
