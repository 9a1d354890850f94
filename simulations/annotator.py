"""A simulated annotator: the truth masks of simulated specimens, as a person's CVAT file would tell them.

No person draws without error; results with these labels are those of a perfect annotator.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.runs import pixel_mask
from model_library.annotations.shapes import AnnotatedImage, Annotation
from model_library.images.durable import write_durably
from model_library.images.readers import read_frame

TASK = "simulated annotator"

_EIGHT = np.ones((3, 3), dtype=int)


def annotate(truths: Iterable[tuple[str, NDArray[np.uint8]]], classes: Sequence[str]) -> bytes:
    """Write a CVAT file of images whose truth is known, one painted mask per object.

    Parameters
    ----------
    truths
        (file name of the acquired image, class indices uint8 [Y, X]).
    classes
        Background first.
    """
    images = [draw(name, labels, classes) for name, labels in truths]
    return write_cvat(images, classes[1:], task=TASK)


def draw(name: str, labels: NDArray[np.uint8], classes: Sequence[str]) -> AnnotatedImage:
    """Paint every connected object of a label image [Y, X] as a shape of its own."""
    height, width = labels.shape
    shapes = []
    for index, title in enumerate(classes[1:], 1):
        objects, count = label(labels == index, structure=_EIGHT)
        for number in range(1, count + 1):
            painted = pixel_mask(np.asarray(objects) == number)
            assert painted is not None
            shapes.append(Annotation(title, painted))
    return AnnotatedImage(name, width, height, tuple(shapes))


def annotate_frames(truth_folder: Path, names: Sequence[str], classes: Sequence[str], out: Path) -> Path:
    """Write the CVAT file of acquired frames whose label images lie in a folder under the same names."""
    truths = ((name, read_frame(truth_folder / name).pixels.astype(np.uint8)) for name in names)
    write_durably(out, annotate(truths, classes))
    return out
