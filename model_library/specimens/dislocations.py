"""Dislocation loops and lines in a thin foil, in transmission bright field near a two-beam condition.

Close to the core of a dislocation the bent lattice scatters out of the bright-field beam: a dark line
beside the core, a third of an extinction distance wide (Hirsch, Howie & Whelan 1960). Its strength
goes with g.b, so a prismatic loop fades where its strain is normal to g and shows two arcs; with g.b = 2
the line is double. A loop on an inclined plane is seen as an ellipse; a faulted one is tinted inside.
Through the foil the contrast of an inclined line beats with the extinction distance.
"""

from dataclasses import dataclass

import numpy as np

from model_library.images.frame import Grey
from model_library.specimens.drawing import coverage, developed, log_uniform, offsets, scattered, window_at
from model_library.specimens.foil import add_black_dots, bright_field
from model_library.specimens.paths import nearness, wandering
from model_library.specimens.specimen import Mask, Specimen, stacked


@dataclass(frozen=True, slots=True)
class _Beam:
    """How the microscope shows every dislocation of an image.

    Attributes
    ----------
    depth
        Darkening at the strongest place.
    width
        Standard deviation of the dark line, in pixels.
    shift
        Distance of the dark line from the core, in pixels.
    second
        Strength of the second image of a double line, as a share of the first.
    fringe
        Strength of the bright fringe on the other side, as a share of the first.
    fading
        How far a loop fades where its strain is normal to g, in [0, 1].
    direction
        Of g, from the x axis, in radians.
    """

    depth: float
    width: float
    shift: float
    second: float
    fringe: float
    fading: float
    direction: float

    def profile(self, across: Grey) -> Grey:
        """Darkening at a signed distance from the core, at most about 1."""
        first = np.exp(-0.5 * ((across - np.float32(self.shift)) / np.float32(self.width)) ** 2)
        second = np.exp(-0.5 * ((across + np.float32(1.6 * self.width)) / np.float32(self.width)) ** 2)
        bright = np.exp(-0.5 * ((across + np.float32(2.2 * self.width)) / np.float32(self.width)) ** 2)
        share = self.second * second - self.fringe * bright * (self.second == 0)
        return np.asarray(first + share, dtype=np.float32)


def render(shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw a foil; labels `loop` (filled to the outer side of its contrast, with instances) and `line`."""
    image = bright_field(shape, rng)
    beam = _beam(rng)
    lines: Mask = np.zeros(shape, dtype=bool)
    if rng.random() < 0.75:
        lines = _add_lines(image, beam, rng)
    loops = _add_loops(image, beam, rng) if rng.random() < 0.85 or not lines.any() else []
    add_black_dots(image, rng, 60)
    instances = stacked(loops, shape)
    labels: dict[str, Mask] = {"loop": np.asarray((instances > 0).any(axis=0)), "line": lines}
    return Specimen(developed(image, rng), labels, {"loop": instances})


def _beam(rng: np.random.Generator) -> _Beam:
    width = log_uniform(rng, 0.9, 2.4)
    return _Beam(
        depth=float(rng.uniform(0.25, 0.75)),
        width=width,
        shift=float(rng.uniform(-0.5, 0.5) * width),
        second=float(rng.uniform(0.4, 1)) if rng.random() < 0.35 else 0.0,
        fringe=float(rng.uniform(0, 0.35)),
        fading=float(rng.uniform(0, 0.95)),
        direction=float(rng.uniform(0, np.pi)),
    )


def _add_loops(image: Grey, beam: _Beam, rng: np.random.Generator) -> list[Mask]:
    """Darken loops of one to four families of habit planes; returns their filled masks [Y, X]."""
    largest = log_uniform(rng, 7, 34)
    families = [
        (float(rng.uniform(0, np.pi)), float(rng.uniform(0.3, 1))) for _ in range(int(rng.integers(1, 5)))
    ]
    count = int(rng.uniform(3, 60) * image.size / 256**2 * min(1.0, 18 / largest)) + 2
    faulted = rng.random() < 0.4
    masks: list[Mask] = []
    for y, x in scattered(image.shape, rng, count, largest / 2):
        long = float(np.clip(largest * rng.lognormal(-0.5, 0.4), 4.0, 1.4 * largest))
        angle, ratio = families[int(rng.integers(len(families)))]
        short = max(long * ratio, 2.2)
        tint = float(rng.normal(0, 0.08)) if faulted else 0.0
        masks += _add_loop(image, (y, x, long, short, angle + rng.normal(0, 0.04)), beam, tint, rng)
    return masks


def _add_loop(
    image: Grey,
    place: tuple[float, float, float, float, float],
    beam: _Beam,
    tint: float,
    rng: np.random.Generator,
) -> list[Mask]:
    """Darken one loop: an ellipse (y, x, half axes, angle)."""
    y, x, long, short, angle = place
    window = window_at(image.shape, y, x, long + 8 * beam.width)
    if window is None:
        return []
    rows, columns = offsets(window, y, x)
    u = columns * np.float32(np.cos(angle)) + rows * np.float32(np.sin(angle))
    v = rows * np.float32(np.cos(angle)) - columns * np.float32(np.sin(angle))
    reach = np.sqrt((u / np.float32(long)) ** 2 + (v / np.float32(short)) ** 2)
    slope = np.sqrt((u / np.float32(long**2)) ** 2 + (v / np.float32(short**2)) ** 2)
    outwards = np.where(reach < 0.05, -np.float32(short), (reach - 1) * reach / np.maximum(slope, 1e-6))
    outwards = np.clip(outwards, -short, None).astype(np.float32)
    around = np.arctan2(rows, columns) - np.float32(beam.direction)
    strength = 1 - np.float32(beam.fading) * np.sin(around) ** 2
    ring = beam.profile(outwards) * strength * np.float32(beam.depth * rng.uniform(0.75, 1.15))
    image[window] += np.float32(tint) * coverage(-outwards) - ring
    mask: Mask = np.zeros(image.shape, dtype=bool)
    mask[window] = outwards <= max(beam.shift, 0.0) + 1.2 * beam.width
    return [mask]


def _add_lines(image: Grey, beam: _Beam, rng: np.random.Generator) -> Mask:
    """Darken single lines, or a pile-up of like ones on a slip plane; returns the lines' mask [Y, X]."""
    shape = (image.shape[0], image.shape[1])
    mask: Mask = np.zeros(shape, dtype=bool)
    slip, alike = rng.uniform(0, np.pi), rng.random() < 0.4
    bend = rng.uniform(0.1, 0.35) if alike else rng.uniform(0.2, 0.8)
    for y, x in scattered(shape, rng, int(rng.integers(1, 4 + image.size // 9000)), 10):
        angle = slip + rng.normal(0, 0.1) if alike else rng.uniform(0, 2 * np.pi)
        length = log_uniform(rng, 25, 1.2 * max(shape))
        found = nearness(shape, wandering((y, x), float(angle), length, float(bend), rng))
        if found is None:
            continue
        inside = coverage(np.minimum(found.along + 1, np.float32(length) - found.along), 2)
        beat = 1 + np.float32(rng.uniform(0, 0.5)) * np.cos(
            found.along * np.float32(2 * np.pi / log_uniform(rng, 8, 40)) + found.across
        )
        strength = np.float32(beam.depth * rng.uniform(0.5, 1.1)) * beat / np.float32(1.25)
        image -= strength * beam.profile(found.across) * inside
        centre = np.float32(beam.shift - (0.8 * beam.width if beam.second else 0))
        reach = 1.3 * beam.width + (0.8 * beam.width if beam.second else 0)
        mask |= np.abs(found.across - centre) <= max(reach, 1.2)
    return mask
