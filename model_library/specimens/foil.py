"""The thin foil that a transmission microscope looks through: what lies behind every defect."""

import numpy as np

from model_library.images.frame import Grey
from model_library.specimens.drawing import coverage, edge_distance, log_uniform, scattered
from model_library.specimens.texture import rough_field, smooth_field


def bright_field(shape: tuple[int, int], rng: np.random.Generator) -> Grey:
    """Draw a foil in bright field, about 1 where it is thin and far from the Bragg condition; [Y, X].

    Thickness (absorption), bend contours (dark bands where the bent lattice meets the Bragg
    condition), sometimes a grain boundary, and the mottle that thinning leaves on both surfaces.
    """
    image = 1 + np.float32(rng.uniform(0.02, 0.12)) * smooth_field(shape, rng, log_uniform(rng, 80, 400))
    for _ in range(int(rng.integers(0, 3))):
        bent = smooth_field(shape, rng, log_uniform(rng, 150, 500))
        away = edge_distance(bent, rng.normal(0, 0.7)) / np.float32(log_uniform(rng, 8, 60))
        image -= np.float32(rng.uniform(0.05, 0.3)) * np.exp(-np.minimum(away**2, 30))
    if rng.random() < 0.25:
        side = coverage(
            edge_distance(smooth_field(shape, rng, log_uniform(rng, 120, 400)), rng.normal(0, 0.6)), 1.5
        )
        image -= np.float32(rng.uniform(0.05, 0.25)) * side
    fine = rough_field(shape, rng, slope=rng.uniform(0.1, 0.8), longest_px=log_uniform(rng, 5, 30))
    image += np.float32(rng.uniform(0.01, 0.06)) * fine
    return np.asarray(image, dtype=np.float32)


def add_black_dots(image: Grey, rng: np.random.Generator, most: int) -> None:
    """Add the damage that an ion beam leaves: dark dots of a few pixels, too small to be a loop."""
    count = int(rng.integers(0, most + 1) * image.size / 256**2)
    dots = np.zeros_like(image)
    for y, x in scattered(image.shape, rng, count, 0):
        row, column = min(int(y), image.shape[0] - 1), min(int(x), image.shape[1] - 1)
        dots[max(row - 1, 0) : row + 1, max(column - 1, 0) : column + 1] = rng.uniform(0.1, 0.4)
    image -= dots
