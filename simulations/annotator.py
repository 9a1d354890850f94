"""A simulated annotator: the truth masks of simulated specimens, as a person's CVAT file would tell them.

No person draws without error; results with these labels are those of a perfect annotator.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.predictions import draw_classes

TASK = "simulated annotator"


def annotate(truths: Iterable[tuple[str, NDArray[np.uint8]]], classes: Sequence[str]) -> bytes:
    """Write a CVAT file of images whose truth is known, one painted mask per object.

    Parameters
    ----------
    truths
        (file name of the acquired image, class indices uint8 [Y, X]).
    classes
        Background first.
    """
    images = [draw_classes(name, labels, classes) for name, labels in truths]
    return write_cvat(images, classes[1:], task=TASK)
