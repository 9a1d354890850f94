"""Protein particles in vitreous ice: one molecule in many views, seen through contrast transfer."""

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from model_library.images.frame import Grey
from model_library.specimens.drawing import coverage, developed, edge_distance, log_uniform, window_at
from model_library.specimens.specimen import Instances, Mask, Specimen, renumbered
from model_library.specimens.texture import filtered, frequencies, rough_field, smooth_field


def render(shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw particles in ice; label `particle`, mask [Y, X], and one instance per molecule."""
    radius = log_uniform(rng, 8, 32)
    blobs, spread = _molecule(rng, radius)
    density = np.zeros(shape, dtype=np.float32)
    places = _places(shape, rng, radius)
    for y, x in places:
        _project(density, (y, x), blobs @ Rotation.random(rng=rng).as_matrix().T, spread)
    density /= max(float(np.percentile(density, 99.5)), 1e-3)
    mask: Mask = density > 0.15
    ice = rough_field(shape, rng, slope=0.2, longest_px=6, shortest_px=2.5)
    phase = density + np.float32(rng.uniform(0.02, 0.12)) * ice
    if rng.random() < 0.7:
        phase = filtered(phase, _transfer(shape, rng, radius))
    image = -phase
    image += np.float32(rng.uniform(0, 0.25)) * smooth_field(shape, rng, log_uniform(rng, 100, 500))
    if rng.random() < 0.35:
        image -= _carbon(shape, rng)
    if rng.random() < 0.4:
        frost = smooth_field(shape, rng, log_uniform(rng, 6, 25))
        image -= np.float32(rng.uniform(0.3, 1)) * coverage(edge_distance(frost, rng.uniform(2.2, 3)), 2)
    return Specimen(
        developed(image, rng, softest_px=0.9), {"particle": mask}, {"particle": _molecules(mask, places)}
    )


def _molecule(rng: np.random.Generator, radius: float) -> tuple[NDArray[np.float64], float]:
    """Gaussian blobs (positions [N, 3] in pixels, common width) with a cyclic symmetry about z."""
    order = int(rng.integers(1, 8))
    unit = rng.normal(0, 1, (int(rng.integers(4, 14)), 3))
    unit *= radius / 1.6 * rng.uniform(0.3, 1, (len(unit), 1)) / np.linalg.norm(unit, axis=1, keepdims=True)
    unit += radius * rng.uniform(0, 0.5) * np.array([1.0, 0, 0])
    turns = Rotation.from_rotvec(2 * np.pi / order * np.arange(order)[:, None] * np.array([0.0, 0.0, 1.0]))
    blobs = np.concatenate([unit @ turn.T for turn in turns.as_matrix()])
    return blobs, max(float(rng.uniform(0.08, 0.2)) * radius, 1.0)


def _places(shape: tuple[int, int], rng: np.random.Generator, radius: float) -> list[tuple[float, float]]:
    """Positions (y, x) that keep apart from each other."""
    apart = radius * rng.uniform(1.5, 2.6)
    wanted = int(min(1.5 * shape[0] * shape[1] / apart**2, 260)) + 1
    places: list[tuple[float, float]] = []
    for y, x in rng.uniform((-radius, -radius), (shape[0] + radius, shape[1] + radius), (wanted, 2)):
        if all((y - b) ** 2 + (x - a) ** 2 > apart**2 for b, a in places):
            places.append((y, x))
    return places


def _molecules(mask: Mask, places: list[tuple[float, float]]) -> Instances:
    """Give every pixel of the mask [Y, X] to the nearest molecule -> [1, Y, X]."""
    owner = np.zeros(mask.shape, dtype=np.int32)
    if mask.any():
        owner[mask] = 1 + np.asarray(cKDTree(np.array(places)).query(np.argwhere(mask))[1])
    return renumbered(owner)


def _project(density: Grey, place: tuple[float, float], blobs: NDArray[np.float64], spread: float) -> None:
    """Add the projection of a molecule along z: a sum of separable Gaussians is one matrix product."""
    reach = float(np.abs(blobs[:, :2]).max()) + 3.5 * spread
    window = window_at(density.shape, *place, reach)
    if window is None:
        return
    rows, columns = (np.arange(part.start, part.stop, dtype=np.float32) for part in window)
    y = np.exp(
        -0.5
        * ((rows - np.float32(place[0]) - blobs[:, 0, None].astype(np.float32)) / np.float32(spread)) ** 2
    )
    x = np.exp(
        -0.5
        * ((columns - np.float32(place[1]) - blobs[:, 1, None].astype(np.float32)) / np.float32(spread)) ** 2
    )
    density[window] += y.T @ x


def _transfer(shape: tuple[int, int], rng: np.random.Generator, radius: float) -> Grey:
    """Contrast transfer [Y, X // 2 + 1] of a defocused microscope and its envelope, for a weak phase object.

    The phase is pi * defocus * f^2 in units in which the first zero lies between a few and a few tens of
    radii^-1.
    """
    fy, fx = frequencies(shape)
    squared = fy**2 + fx**2
    first_zero = rng.uniform(1.2, 4) / radius
    defocus = np.float32(np.pi / first_zero**2)
    amplitude = np.float32(rng.uniform(0.07, 0.3))
    envelope = np.exp(-squared / np.float32(2 * rng.uniform(0.15, 0.4) ** 2))
    return np.asarray(np.sin(defocus * squared + np.arcsin(amplitude)) * envelope, dtype=np.float32)


def _carbon(shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """Darkening [Y, X] by the edge of a hole in the carbon film, with the film's own texture."""
    slow = smooth_field(shape, rng, log_uniform(rng, 200, 600))
    cover = coverage(edge_distance(slow, rng.uniform(0.5, 1.5)), rng.uniform(1, 6))
    film = rough_field(shape, rng, slope=0.4, longest_px=8, shortest_px=2)
    return cover * (np.float32(rng.uniform(0.3, 1)) + 0.1 * film)
