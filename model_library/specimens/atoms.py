"""Atomic columns: crystals along a zone axis in a scanning transmission microscope."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.images.frame import Grey
from model_library.specimens.drawing import coverage, developed, edge_distance, log_uniform
from model_library.specimens.specimen import Mask, Specimen
from model_library.specimens.texture import rough_field, smooth_field


def render(shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw a crystal, or two that meet at a boundary; label `column`, mask [Y, X] of the columns' cores."""
    pitch = log_uniform(rng, 9, 34)
    image, column = _crystal(shape, rng, pitch)
    if rng.random() < 0.35:
        other, other_column = _crystal(shape, rng, pitch)
        side = coverage(
            edge_distance(smooth_field(shape, rng, log_uniform(rng, 80, 400)), rng.normal(0, 0.5)), 2
        )
        image, column = image * (1 - side) + other * side, np.where(side > 0.5, other_column, column)
    thickness = 1 + np.float32(rng.uniform(0, 0.3)) * smooth_field(shape, rng, log_uniform(rng, 60, 400))
    image *= np.clip(thickness, 0.2, 2)
    if rng.random() < 0.25:
        edge = coverage(
            edge_distance(smooth_field(shape, rng, log_uniform(rng, 120, 500)), rng.uniform(-1.5, -0.3)), 4
        )
        image, column = image * edge, column & (edge > 0.5)
    amorphous = rough_field(
        shape, rng, slope=0.3, longest_px=rng.uniform(5, 15), shortest_px=rng.uniform(3, 8)
    )
    image += np.float32(rng.uniform(0, 0.1)) * amorphous
    if rng.random() < 0.25:
        image = -image
    return Specimen(developed(image, rng), {"column": column})


def _crystal(shape: tuple[int, int], rng: np.random.Generator, pitch: float) -> tuple[Grey, Mask]:
    """Sum of Gaussian columns [Y, X] of one crystal, and the mask of their cores."""
    first = _rotated(np.array([0.0, pitch]), rng.uniform(0, np.pi))
    opening = rng.choice([np.pi / 2, np.pi / 3, rng.uniform(np.pi / 3, np.pi / 2)])
    second = _rotated(first, float(opening)) * log_uniform(rng, 1, 1.5)
    positions, strengths = _sites(shape, rng, np.stack((first, second)))
    sway = float(rng.uniform(0, 0.08)) * pitch
    strain = [sway * smooth_field(shape, rng, log_uniform(rng, 40, 300)) for _ in range(2)]
    for axis, field in enumerate(strain):
        positions[:, axis] += ndimage.map_coordinates(field, positions.T, order=1, mode="nearest")
    positions += rng.normal(0, rng.uniform(0, 0.025) * pitch, positions.shape)
    width = max(float(rng.uniform(0.11, 0.2)) * pitch, 1.0)
    image = _sum_of_gaussians(shape, positions, strengths, width)
    if rng.random() < 0.5:
        image += _sum_of_gaussians(shape, positions, 0.35 * strengths, 2.2 * width)
    return image, image > 0.5


def _sites(
    shape: tuple[int, int], rng: np.random.Generator, vectors: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Positions (y, x) and strengths of the columns: one to three per cell, some missing, some replaced."""
    reach = int(np.hypot(*shape) / np.linalg.norm(vectors, axis=1).min()) + 3
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2), axis=-1).reshape(-1, 2)
    corners = steps @ vectors + np.array(shape) / 2 + rng.uniform(-1, 1, 2)
    basis = [(np.zeros(2), 1.0)]
    extra: list[tuple[float, float]] = [(0.5, 0.5), (0.5, 0.0), (1 / 3, 1 / 3), (0.0, 0.5)]
    for index in rng.permutation(len(extra))[: int(rng.integers(0, 3))]:
        basis.append((np.array(extra[index]) @ vectors, float(rng.uniform(0.15, 0.9))))
    positions = np.concatenate([corners + shift for shift, _ in basis])
    strengths = np.repeat([strength for _, strength in basis], len(corners))
    margin = 12
    seen = np.all((positions > -margin) & (positions < np.array(shape) + margin), axis=1)
    positions, strengths = positions[seen], strengths[seen]
    strengths = strengths * rng.normal(1, rng.uniform(0, 0.08), len(strengths))
    strengths[rng.random(len(strengths)) < rng.uniform(0, 0.03)] *= rng.uniform(0, 0.7)
    strengths[rng.random(len(strengths)) < rng.uniform(0, 0.02)] *= rng.uniform(1.1, 1.8)
    return positions, np.clip(strengths, 0, None)


def _sum_of_gaussians(
    shape: tuple[int, int], positions: NDArray[np.float64], strengths: NDArray[np.float64], width: float
) -> Grey:
    """Draw every column in its own small window, all windows at once."""
    reach = int(np.ceil(3.2 * width))
    span = np.arange(-reach, reach + 1)
    centre = np.round(positions).astype(np.int64)
    part = (centre - positions)[:, :, None] + span
    profile = np.exp(-0.5 * (part / width) ** 2).astype(np.float32)
    weights = (strengths.astype(np.float32)[:, None] * profile[:, 0])[:, :, None] * profile[:, 1][:, None, :]
    rows, columns = centre[:, 0, None] + span, centre[:, 1, None] + span
    padded = (shape[0] + 2, shape[1] + 2)
    rows, columns = np.clip(rows + 1, 0, padded[0] - 1), np.clip(columns + 1, 0, padded[1] - 1)
    index = rows[:, :, None] * padded[1] + columns[:, None, :]
    total = np.bincount(index.ravel(), weights.ravel(), minlength=padded[0] * padded[1])
    return total.reshape(padded)[1:-1, 1:-1].astype(np.float32)


def _rotated(vector: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    cosine, sine = np.cos(angle), np.sin(angle)
    return np.array([vector[0] * cosine - vector[1] * sine, vector[0] * sine + vector[1] * cosine])
