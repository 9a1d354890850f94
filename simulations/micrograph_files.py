"""Reading the files of a user's folder of micrographs."""

from pathlib import Path

import numpy as np

from model_library.images.frame import Frame, Grey
from model_library.images.readers import read_micrograph, read_stack

SUFFIXES = frozenset({".tif", ".tiff", ".png"})


def read_pages(path: Path) -> list[Frame]:
    """Read all pages of a micrograph or a stack.

    Raises
    ------
    ImageError
        Where the file is not a grey image or a stack of them.
    """
    return [read_micrograph(path)] if path.suffix.lower() == ".png" else read_stack(path)


def unit_intensity(page: Frame) -> Grey:
    """Map a clean micrograph to intensities [Y, X] in [0, 1].

    8-bit counts by their full range; other counts, whose range is seldom used in full, by the
    page's own least and greatest value.
    """
    grey = page.grey
    if page.pixels.dtype == np.uint8:
        return grey / np.float32(255)
    low, high = float(grey.min()), float(grey.max())
    return (grey - np.float32(low)) / np.float32(max(high - low, 1e-12))
