"""Wandering lines: where they run, and how far each pixel is from them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from model_library.images.frame import Grey

_STEP_PX = 0.5


@dataclass(frozen=True, slots=True)
class Nearness:
    """What each pixel is to a line.

    Attributes
    ----------
    across
        float32 [Y, X], signed distance in pixels from the line: positive to its left.
    along
        float32 [Y, X], length in pixels from the line's start to its nearest point.
    """

    across: Grey
    along: Grey


def wandering(
    start: tuple[float, float], angle: float, length_px: float, bend: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Points (y, x), half a pixel apart, of a line whose direction drifts.

    Parameters
    ----------
    start
        First point (y, x).
    angle
        First direction from the x axis, in radians.
    length_px
        Length of the line.
    bend
        Standard deviation of its direction, in radians; it changes over some 20 pixels.
    rng
        Source of all randomness.
    """
    count = max(int(length_px / _STEP_PX), 2)
    turns = ndimage.gaussian_filter1d(rng.standard_normal(count), 20 / _STEP_PX, mode="reflect")
    spread = float(turns.std())
    heading = angle + bend * turns / (spread if spread > 0 else 1.0)
    steps = _STEP_PX * np.stack((np.sin(heading), np.cos(heading)), axis=1)
    points: NDArray[np.float64] = np.asarray(start) + np.cumsum(steps, axis=0) - steps[0]
    return points


def nearness(shape: tuple[int, int], points: NDArray[np.float64]) -> Nearness | None:
    """How each pixel [Y, X] lies to a line of such points; None where the line misses the image."""
    cells = np.rint(points).astype(np.int64)
    seen = np.all((cells >= 0) & (cells < np.array(shape)), axis=1)
    if not seen.any():
        return None
    order = np.zeros(shape, dtype=np.int64)
    line = np.ones(shape, dtype=bool)
    order[cells[seen, 0], cells[seen, 1]] = np.flatnonzero(seen)
    line[cells[seen, 0], cells[seen, 1]] = False
    found = ndimage.distance_transform_edt(line, return_distances=False, return_indices=True)
    nearest = order[found[0], found[1]]
    rows, columns = np.indices(shape, sparse=True)
    heading = np.gradient(points, axis=0) if len(points) > 1 else np.zeros_like(points)
    heading /= np.maximum(np.linalg.norm(heading, axis=1, keepdims=True), 1e-9)
    dy, dx = rows - points[nearest, 0], columns - points[nearest, 1]
    side = np.sign(dy * heading[nearest, 1] - dx * heading[nearest, 0])
    return Nearness(
        (np.hypot(dy, dx) * np.where(side == 0, 1, side)).astype(np.float32),
        (nearest * _STEP_PX).astype(np.float32),
    )
