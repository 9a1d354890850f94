"""Precipitates, pores and cracks: polished alloys, coatings and oxides in back-scattered electrons."""

import numpy as np

from model_library.images.frame import Grey
from model_library.specimens.drawing import (
    coverage,
    cracked,
    developed,
    edge_distance,
    log_uniform,
    offsets,
    window_at,
)
from model_library.specimens.specimen import Mask, Specimen
from model_library.specimens.texture import rough_field, smooth_field


def render(shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw an alloy section; labels `precipitate`, `pore` and `crack`, masks [Y, X]."""
    image = np.full(shape, rng.uniform(0.3, 0.8), dtype=np.float32)
    image += _grain_contrast(shape, rng)
    precipitate: Mask = np.zeros(shape, dtype=bool)
    for _ in range(int(rng.integers(1, 4))):
        cover = _cuboids(shape, rng) if rng.random() < 0.35 else _islands(shape, rng)
        grey = float(np.clip(image.mean() + rng.choice([-1, 1]) * rng.uniform(0.1, 0.6), 0, 1.2))
        _paint(image, cover, grey, rng)
        precipitate |= cover > 0.5
    fine = rough_field(shape, rng, slope=rng.uniform(0.2, 1.5), longest_px=log_uniform(rng, 3, 60))
    image += np.float32(rng.uniform(0.005, 0.05)) * fine
    pore = _add_pores(image, rng)
    crack: Mask = np.zeros(shape, dtype=bool)
    for _ in range(int(rng.integers(0, 4))):
        cover = cracked(shape, rng, rng.uniform(1, 4))
        image += cover * (np.float32(rng.uniform(0, 0.15)) - image)
        crack |= cover > 0.5
    for _ in range(int(rng.integers(0, 4))):
        image += np.float32(rng.uniform(-0.08, 0.08)) * cracked(shape, rng, rng.uniform(0.7, 1.5))
    hidden = crack | pore
    return Specimen(
        developed(image, rng), {"precipitate": precipitate & ~hidden, "pore": pore & ~crack, "crack": crack}
    )


def _grain_contrast(shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """Grains of slightly different grey: the sign pattern of a few slow fields."""
    contrast = np.zeros(shape, dtype=np.float32)
    for _ in range(2):
        slow = smooth_field(shape, rng, log_uniform(rng, 60, 200))
        contrast += np.float32(rng.uniform(0, 0.04)) * (
            2 * coverage(edge_distance(slow, rng.normal(0, 0.5))) - 1
        )
    return contrast


def _islands(shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """Coverage by the parts of a random field above a level, coarse here and fine there."""
    angle, elongation = rng.uniform(0, np.pi), 1.0 if rng.random() < 0.7 else log_uniform(rng, 1.5, 5)
    field = smooth_field(shape, rng, log_uniform(rng, 5, 45), elongation=elongation, angle=angle)
    if rng.random() < 0.5:
        finer = smooth_field(shape, rng, log_uniform(rng, 3.5, 12))
        share = coverage(edge_distance(smooth_field(shape, rng, log_uniform(rng, 30, 120)), 0.3), 12)
        field = field * (1 - share) + finer * share
    level = rng.uniform(-0.3, 1.4)
    if rng.random() < 0.4:
        field = field + np.float32(rng.uniform(0.8, 2)) * smooth_field(shape, rng, log_uniform(rng, 60, 200))
    return coverage(edge_distance(field, level), rng.uniform(0.5, 1.2))


def _cuboids(shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """Coverage by rounded squares or needles on a disturbed lattice (gamma prime in a superalloy)."""
    pitch, angle = log_uniform(rng, 14, 70), rng.uniform(0, np.pi / 2)
    gap, roundness, stretch = rng.uniform(0.1, 0.45), rng.uniform(2.2, 6), log_uniform(rng, 1, 2.5)
    y, x = offsets((slice(0, shape[0]), slice(0, shape[1])), 0, 0)
    u = (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) / np.float32(pitch * stretch)
    v = (y * np.float32(np.cos(angle)) - x * np.float32(np.sin(angle))) / np.float32(pitch)
    u = u + np.float32(rng.uniform(0.05, 0.3)) * smooth_field(shape, rng, pitch)
    v = v + np.float32(rng.uniform(0.05, 0.3)) * smooth_field(shape, rng, pitch)
    swelling = 1 + np.float32(rng.uniform(0.05, 0.35)) * smooth_field(shape, rng, 1.5 * pitch)
    u, v = np.abs(u - np.round(u)), np.abs(v - np.round(v))
    reach = (u**roundness + v**roundness) ** np.float32(1 / roundness)
    inside = np.float32(0.5 - gap / 2) * swelling - reach
    return coverage((inside * np.float32(pitch)).astype(np.float32), rng.uniform(0.5, 1.2))


def _paint(image: Grey, cover: Grey, grey: float, rng: np.random.Generator) -> None:
    """Lay a phase over the image, sometimes with the bright rim of secondary electrons."""
    texture = smooth_field(image.shape, rng, log_uniform(rng, 2, 20))
    image += cover * (np.float32(grey) + np.float32(rng.uniform(0, 0.03)) * texture - image)
    if rng.random() < 0.3:
        image += np.float32(rng.uniform(0.1, 0.8)) * cover * (1 - cover)


def _add_pores(image: Grey, rng: np.random.Generator) -> Mask:
    """Add dark holes whose floor is uneven, and small bright or dark inclusions."""
    pore: Mask = np.zeros(image.shape, dtype=bool)
    if rng.random() < 0.5:
        field = smooth_field(image.shape, rng, log_uniform(rng, 6, 40))
        cover = coverage(edge_distance(field, rng.uniform(1.4, 2.2)), 0.9)
        floor = rng.uniform(0, 0.2) + 0.05 * smooth_field(image.shape, rng, 12)
        image += cover * (floor.astype(np.float32) - image)
        pore = cover > 0.5
    count = int(rng.integers(0, 150) * image.size / 512**2)
    largest = log_uniform(rng, 1.5, 6)
    for y, x in rng.uniform((0, 0), image.shape, (count, 2)):
        radius = rng.uniform(0.8, largest)
        window = window_at(image.shape, y, x, radius + 2)
        if window is not None:
            rows, columns = offsets(window, y, x)
            image[window] += np.float32(rng.normal(-0.1, 0.3)) * coverage(
                np.float32(radius) - np.hypot(rows, columns)
            )
    return pore
