"""Cells and membranes: stained tissue as FIB-SEM, serial-section TEM and SEM of nerves show it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from model_library.images.frame import Grey
from model_library.specimens.drawing import coverage, developed, log_uniform, offsets, scattered, window_at
from model_library.specimens.specimen import Mask, Specimen
from model_library.specimens.texture import rough_field, smooth_field, stretched


@dataclass(frozen=True, slots=True)
class _Tissue:
    """Which cell each pixel is in, and how far it is from that cell's border.

    Attributes
    ----------
    cell
        int32 [Y, X], number of the cell.
    depth
        float32 [Y, X], pixels to the border.
    count
        Number of cells.
    """

    cell: NDArray[np.int32]
    depth: Grey
    count: int


def render(shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw tissue; labels `membrane`, `mitochondrion` and `myelin`, masks [Y, X]."""
    size = log_uniform(rng, 14, 60)
    tissue = _tissue(shape, rng, size)
    thickness = float(rng.uniform(1.2, 3.2))
    membrane = coverage(np.float32(thickness) - tissue.depth, 0.9)

    image = rng.normal(0.75, rng.uniform(0.01, 0.13), tissue.count).astype(np.float32)[tissue.cell]
    granules = rough_field(shape, rng, slope=rng.uniform(0.3, 1.2), longest_px=log_uniform(rng, 4, 25))
    grain = rng.uniform(0.02, 0.12, tissue.count).astype(np.float32)[tissue.cell]
    image += grain * granules
    _add_vesicles(image, tissue, rng)
    mitochondria = _add_mitochondria(image, tissue, rng, size)
    myelin = _add_myelin(image, tissue, rng, thickness)
    dark = np.float32(rng.uniform(0.1, 0.35))
    image += membrane * (dark + 0.05 * granules - image)
    if rng.random() < 0.35:
        image = 1 - image
    labels: dict[str, Mask] = {
        "membrane": membrane > 0.5,
        "mitochondrion": mitochondria & (membrane <= 0.5),
        "myelin": myelin & (membrane <= 0.5),
    }
    return Specimen(developed(image, rng), labels)


def _tissue(shape: tuple[int, int], rng: np.random.Generator, size: float) -> _Tissue:
    """Voronoi cells of very different sizes with wandering borders, computed coarsely."""
    seeds = _seeds(shape, rng, size)
    step = int(np.clip(size / 12, 2, 4))
    coarse = (-(-shape[0] // step) + 1, -(-shape[1] // step) + 1)
    bend, length = rng.uniform(0.1, 0.35) * size, rng.uniform(0.5, 1.2) * size
    y, x = (
        grid * step + bend * smooth_field(coarse, rng, length / step)
        for grid in np.mgrid[: coarse[0], : coarse[1]].astype(np.float32)
    )
    points = np.stack((y.ravel(), x.ravel()), axis=1)
    found = cKDTree(seeds).query(points, k=2)
    distance, nearest = np.asarray(found[0]), np.asarray(found[1])
    apart = np.linalg.norm(seeds[nearest[:, 0]] - seeds[nearest[:, 1]], axis=1)
    depth = (distance[:, 1] ** 2 - distance[:, 0] ** 2) / np.maximum(2 * apart, 1e-3)
    fine = stretched(depth.reshape(coarse).astype(np.float32), shape, step)
    rows, columns = ((np.arange(size) + step // 2) // step for size in shape)
    cell = nearest[:, 0].reshape(coarse)[np.ix_(rows, columns)]
    return _Tissue(cell.astype(np.int32), fine, len(seeds))


def _seeds(shape: tuple[int, int], rng: np.random.Generator, size: float) -> NDArray[np.float64]:
    """Cell centres (y, x): crowded, but cleared round the few that grow large."""
    margin = 2 * size
    count = max(int((shape[0] + 2 * margin) * (shape[1] + 2 * margin) / size**2), 8)
    seeds = rng.uniform((-margin, -margin), (shape[0] + margin, shape[1] + margin), (count, 2))
    keep = np.ones(count, dtype=bool)
    for large in range(int(rng.integers(0, max(count // 8, 2)))):
        if keep[large]:
            away = np.linalg.norm(seeds - seeds[large], axis=1)
            keep &= (away > rng.uniform(0.7, 2.2) * size) | (away == 0)
    return seeds[keep]


def _add_myelin(image: Grey, tissue: _Tissue, rng: np.random.Generator, thickness: float) -> Mask:
    """Sheathe some of the cells: a band inside their border, with faint lamellae."""
    if rng.random() < 0.6:
        return np.zeros(image.shape, dtype=bool)
    sheathed = rng.random(tissue.count) < rng.uniform(0.2, 0.8)
    band = (rng.uniform(2.5, 9, tissue.count) * sheathed).astype(np.float32)[tissue.cell] + np.float32(
        thickness
    )
    myelin = coverage(band - tissue.depth) * (band > thickness)
    lamellae = 0.05 * np.sin(tissue.depth * np.float32(rng.uniform(1.2, 2.2)))
    image += myelin * (np.float32(rng.uniform(0.1, 0.4)) + lamellae - image)
    return myelin > 0.5


def _add_vesicles(image: Grey, tissue: _Tissue, rng: np.random.Generator) -> None:
    """Add small round bodies, hollow or dense, in clusters."""
    field = image.shape[0] * image.shape[1] / 512**2
    hollow = rng.random() < 0.6
    for y, x in scattered(image.shape, rng, int(rng.integers(0, 14) * field) + 1, 0):
        radius = rng.uniform(1.5, 4.5)
        for dy, dx in rng.normal(0, 6 * radius**0.5, (int(rng.integers(1, 16)), 2)):
            window = window_at(image.shape, y + dy, x + dx, radius + 3)
            if window is None:
                continue
            rows, columns = offsets(window, y + dy, x + dx)
            away = np.hypot(rows, columns)
            body = coverage(np.float32(radius) - away)
            if hollow:
                body -= 0.9 * coverage(np.float32(radius - 1.6) - away)
            image[window] -= np.float32(0.35) * body * (tissue.depth[window] > 3)


def _add_mitochondria(image: Grey, tissue: _Tissue, rng: np.random.Generator, size: float) -> Mask:
    """Add bent dark ellipses with cristae, inside cells that have room for them."""
    mask = np.zeros(image.shape, dtype=bool)
    wanted = int(rng.uniform(0, 0.5) * tissue.count) + 1
    cristae = rough_field(image.shape, rng, slope=0.5, longest_px=6)
    grey, wall = rng.uniform(0.25, 0.5), rng.uniform(0.05, 0.2)
    for y, x in scattered(image.shape, rng, min(wanted, 70), 10):
        short = rng.uniform(0.12, 0.32) * size
        long, angle = short * rng.uniform(1, 3), rng.uniform(0, np.pi)
        window = window_at(image.shape, y, x, long + 4)
        if window is None or short < 3:
            continue
        rows, columns = offsets(window, y, x)
        u = columns * np.float32(np.cos(angle)) + rows * np.float32(np.sin(angle))
        v = rows * np.float32(np.cos(angle)) - columns * np.float32(np.sin(angle))
        v = v + np.float32(rng.uniform(-0.3, 0.3) * short) * (u / np.float32(long)) ** 2
        reach = np.hypot(u / np.float32(long), v / np.float32(short))
        inside = np.minimum(np.float32(short) * (1 - reach), tissue.depth[window] - 3).astype(np.float32)
        body = coverage(inside)
        folds = np.sin(u * np.float32(rng.uniform(0.7, 1.6)) + 1.5 * cristae[window])
        inner = np.float32(grey) + 0.07 * folds + 0.03 * cristae[window]
        inner = inner - np.float32(wall) * coverage(1.5 - inside)
        image[window] += body * (inner - image[window])
        mask[window] |= body > 0.5
    return mask
