"""The simulated annotator says exactly what the truth says, object by object."""

import numpy as np

from model_library.annotations.cvat import read_cvat
from model_library.annotations.maps import class_map
from model_library.specimens import SpecimenKind, render
from simulations.annotator import annotate

CLASSES = ("background", "membrane", "mitochondrion")


def truth(seed):
    labels = render(SpecimenKind.CELLS, (96, 128), np.random.default_rng(seed)).labels
    return np.where(labels["membrane"], 1, np.where(labels["mitochondrion"], 2, 0)).astype(np.uint8)


def test_the_file_holds_the_truth_pixel_by_pixel():
    truths = [(f"frame-{seed}.tif", truth(seed)) for seed in range(3)]
    images = read_cvat(annotate(truths, CLASSES), "file")
    assert [image.name for image in images] == [name for name, _ in truths]
    for image, (_, labels) in zip(images, truths, strict=True):
        assert np.array_equal(class_map(image, CLASSES), labels)


def test_objects_that_do_not_touch_are_shapes_of_their_own():
    labels = np.zeros((30, 40), np.uint8)
    labels[2:8, 2:8] = labels[20:25, 30:39] = 1
    (image,) = read_cvat(annotate([("a.tif", labels)], CLASSES), "file")
    assert [annotation.label for annotation in image.annotations] == ["membrane", "membrane"]
