"""Cracks through a brittle layer between a porous coating and its substrate, in back-scattered electrons.

A layer under tension (a thermally grown oxide that has cooled) relieves it by channel cracks, which
run across the layer, wander, branch, and end or turn at its interfaces. A crack is dark because
electrons do not come back from its depth; its lips may be bright. Pores are as dark, but are no cracks.
"""

import numpy as np

from model_library.images.frame import Grey
from model_library.specimens.drawing import coverage, developed, edge_distance, log_uniform, offsets
from model_library.specimens.paths import nearness, wandering
from model_library.specimens.specimen import Mask, Specimen
from model_library.specimens.texture import rough_field, smooth_field


def render(shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw a layered section; labels `crack`, `pore` and `layer`, masks [Y, X]."""
    depth, top, bottom = _layered(shape, rng)
    layer = coverage(np.minimum(depth - np.float32(top), np.float32(bottom) - depth), 0.9)
    coating, oxide, base = rng.uniform(0.2, 1.0), rng.uniform(0.25, 0.6), rng.uniform(0.2, 0.6)
    image = np.where(depth < (top + bottom) / 2, np.float32(coating), np.float32(base))
    image = image + layer * (np.float32(oxide) - image)
    fine = rough_field(shape, rng, slope=rng.uniform(0.2, 1.2), longest_px=log_uniform(rng, 3, 40))
    image += np.float32(rng.uniform(0.01, 0.05)) * fine
    pore = _add_pores(image, depth, (top, bottom), rng)
    crack = _add_cracks(image, depth, (top, bottom), rng)
    labels: dict[str, Mask] = {"crack": crack, "pore": pore & ~crack, "layer": layer > 0.5}
    return Specimen(developed(image, rng), labels)


def _layered(shape: tuple[int, int], rng: np.random.Generator) -> tuple[Grey, float, float]:
    """Depth [Y, X] below the surface, with wavy interfaces, and where the layer begins and ends."""
    rows, _ = offsets((slice(0, shape[0]), slice(0, shape[1])), 0, 0)
    waves = sum(
        np.float32(share * rng.uniform(0.2, 1)) * smooth_field(shape, rng, length * shape[0])
        for share, length in ((0.05 * shape[0], 0.5), (0.012 * shape[0], 0.08))
    )
    thick = rng.uniform(0.25, 0.6) * shape[0]
    top = rng.uniform(0.05, 0.95) * shape[0] - thick / 2
    return np.asarray(rows + waves, dtype=np.float32), float(top), float(top + thick)


def _add_pores(image: Grey, depth: Grey, layer: tuple[float, float], rng: np.random.Generator) -> Mask:
    """Darken rounded and lens-shaped pores, many above the layer and few in and below it."""
    pore: Mask = np.zeros(image.shape, dtype=bool)
    for _ in range(int(rng.integers(1, 4))):
        field = smooth_field(
            (image.shape[0], image.shape[1]),
            rng,
            log_uniform(rng, 5, 24),
            elongation=log_uniform(rng, 1, 3),
            angle=float(rng.normal(0, 0.15)),
        )
        rarity = np.where(depth < layer[0], rng.uniform(0.8, 2), rng.uniform(1.7, 2.6)).astype(np.float32)
        cover = coverage(edge_distance(field - rarity, 0.0), 0.9)
        image += cover * (np.float32(rng.uniform(0, 0.15)) - image)
        pore |= cover > 0.5
    return pore


def _add_cracks(image: Grey, depth: Grey, layer: tuple[float, float], rng: np.random.Generator) -> Mask:
    """Darken cracks that start at the layer's surface, and their branches; returns their mask [Y, X]."""
    shape = (image.shape[0], image.shape[1])
    crack: Mask = np.zeros(shape, dtype=bool)
    thick, width, dark = layer[1] - layer[0], log_uniform(rng, 1.6, 7), rng.uniform(0, 0.12)
    lips = np.float32(rng.uniform(0.05, 0.3)) if rng.random() < 0.3 else np.float32(0)
    for _ in range(int(rng.integers(1, 5))):
        column = int(rng.integers(shape[1]))
        start = (float(np.abs(depth[:, column] - np.float32(layer[0])).argmin()), float(column))
        heading = np.pi / 2 + rng.normal(0, 0.25)
        path = wandering(start, float(heading), thick * rng.uniform(0.5, 1.15), rng.uniform(0.1, 0.45), rng)
        paths = [(path, width * rng.uniform(0.5, 1.2))]
        for _ in range(int(rng.integers(0, 3))):
            fork = path[int(rng.integers(len(path) // 4, len(path)))]
            turned = heading + rng.choice([-1, 1]) * rng.uniform(0.4, 1.3)
            length = thick * rng.uniform(0.1, 0.5)
            branch = wandering((fork[0], fork[1]), float(turned), length, rng.uniform(0.1, 0.6), rng)
            paths.append((branch, width * rng.uniform(0.25, 0.7)))
        for points, opening in paths:
            gape = _gape(shape, points, max(opening, 1.3), rng)
            image += lips * np.clip(1 - np.abs(gape + 1.5) / 1.5, 0, 1)
            cover = coverage(gape)
            image += cover * (np.float32(dark) - image)
            crack |= cover > 0.5
    return crack


def _gape(
    shape: tuple[int, int],
    points: np.ndarray[tuple[int, int], np.dtype[np.float64]],
    opening: float,
    rng: np.random.Generator,
) -> Grey:
    """Signed distance [Y, X] into a crack whose opening varies and closes towards its end."""
    found = nearness(shape, points)
    if found is None:
        return np.full(shape, -1e3, dtype=np.float32)
    length = np.float32(len(points) / 2)
    uneven = 1 + np.float32(0.25) * np.sin(found.along / np.float32(rng.uniform(4, 12)))
    closing = np.clip(2.5 * (1 - found.along / length), 0.35, 1)
    return np.asarray(np.float32(opening / 2) * uneven * closing - np.abs(found.across), dtype=np.float32)
