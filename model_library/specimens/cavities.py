"""Cavities in a thin foil: voids and gas bubbles, seen through their Fresnel fringes out of focus.

A cavity lacks the mean inner potential of the foil, so it changes the phase of the electrons in
proportion to the length of the beam inside it, and hardly their number. Contrast transfer at a defocus
z turns phase into intensity, 2 sin(pi lambda z f^2): under focus a bright cavity with a dark rim, over
focus the reverse, in focus nearly nothing (Ruhle & Wilkens 1975). Voids are facetted, bubbles are round.
"""

import numpy as np

from model_library.images.frame import Grey
from model_library.specimens.drawing import developed, log_uniform, offsets, scattered, window_at
from model_library.specimens.foil import add_black_dots, bright_field
from model_library.specimens.paths import nearness, wandering
from model_library.specimens.specimen import Mask, Specimen, stacked
from model_library.specimens.texture import filtered, frequencies

_MARGIN_PX = 24
"""Drawn round the image and cut off: the transform would carry fringes from one border to the other."""
_INSIDE = (slice(_MARGIN_PX, -_MARGIN_PX), slice(_MARGIN_PX, -_MARGIN_PX))


def render(shape: tuple[int, int], rng: np.random.Generator) -> Specimen:
    """Draw a foil with cavities; label `cavity`, mask [Y, X] of their projections, with instances."""
    padded = (shape[0] + 2 * _MARGIN_PX, shape[1] + 2 * _MARGIN_PX)
    missing, masks = _projected(padded, rng)
    fringes = filtered(missing, _transfer(padded, rng))[_INSIDE]
    image = bright_field(shape, rng)
    if rng.random() < 0.3:
        _add_line(image, rng)
    add_black_dots(image, rng, 40)
    image += np.float32(rng.uniform(0.05, 0.25)) * missing[_INSIDE]
    image += fringes
    instances = stacked([mask[_INSIDE] for mask in masks], shape)
    cavity: Mask = np.asarray((instances > 0).any(axis=0))
    return Specimen(developed(image, rng, softest_px=1.0), {"cavity": cavity}, {"cavity": instances})


def _projected(shape: tuple[int, int], rng: np.random.Generator) -> tuple[Grey, list[Mask]]:
    """Missing material [Y, X] along the beam, 1 for the largest cavities, and each cavity's mask."""
    largest = log_uniform(rng, 4, 26)
    facetted = rng.random() < 0.5
    power, turn = (float(rng.uniform(2.8, 5)) if facetted else 2.0), float(rng.uniform(0, np.pi / 2))
    density = rng.uniform(4, 120) * min(1.0, (8 / largest) ** 1.2)
    missing = np.zeros(shape, dtype=np.float32)
    masks: list[Mask] = []
    for y, x in scattered(shape, rng, int(density * shape[0] * shape[1] / 256**2) + 2, largest):
        radius = float(np.clip(largest * rng.lognormal(-0.5, 0.4), 2.5, 1.3 * largest))
        window = window_at(shape, y, x, 1.3 * radius + 2)
        if window is None:
            continue
        rows, columns = offsets(window, y, x)
        u = np.abs(columns * np.float32(np.cos(turn)) + rows * np.float32(np.sin(turn)))
        v = np.abs(rows * np.float32(np.cos(turn)) - columns * np.float32(np.sin(turn)))
        reach = (u**power + v**power) ** np.float32(1 / power) / np.float32(radius)
        chord = np.sqrt(np.clip(1 - reach**2, 0, 1)) if power == 2.0 else np.clip(2.2 * (1 - reach), 0, 1)
        missing[window] += np.float32(radius / largest) * chord
        mask: Mask = np.zeros(shape, dtype=bool)
        mask[window] = reach < 1
        masks.append(mask)
    return missing, masks


def _transfer(shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """Contrast transfer [Y, X // 2 + 1] from missing phase to intensity; the defocus has either sign.

    The first fringe is sqrt(lambda z) wide, here 1.8 to 5 pixels; the envelope is that of a source of
    finite size, which leaves one fringe or two.
    """
    fy, fx = frequencies(shape)
    squared = fy**2 + fx**2
    fringe = log_uniform(rng, 1.8, 5)
    sign = 1 if rng.random() < 0.65 else -1
    envelope = np.exp(-squared * np.float32((1.1 * fringe) ** 2))
    strength = np.float32(sign * rng.uniform(1.2, 2.5))
    return np.asarray(strength * np.sin(np.float32(np.pi * fringe**2) * squared) * envelope, dtype=np.float32)


def _add_line(image: Grey, rng: np.random.Generator) -> None:
    """Add a dislocation, which is no cavity."""
    shape = (image.shape[0], image.shape[1])
    start = (float(rng.uniform(0, shape[0])), float(rng.uniform(0, shape[1])))
    line = nearness(shape, wandering(start, float(rng.uniform(0, 2 * np.pi)), max(shape), 0.5, rng))
    if line is not None:
        width = np.float32(log_uniform(rng, 1, 2.5))
        image -= np.float32(rng.uniform(0.1, 0.4)) * np.exp(-0.5 * (line.across / width) ** 2)
