"""The AMPIS powder, drawn in VIA and converted to CVAT: both imports give the same instances."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from model_library.annotations import (
    AnnotatedImage,
    cropped,
    instance_stack,
    lint_annotations,
    merged,
    read_annotations,
    renamed,
    write_cvat,
)
from model_library.annotations.cvat import read_cvat

CLASSES = ("background", "particle", "satellite")


@pytest.fixture(scope="module")
def powder(shared_data: Path) -> Path:
    return shared_data / "em_mat_powder_polygons_ampis"


@pytest.fixture(scope="module")
def from_cvat(powder: Path) -> tuple[AnnotatedImage, ...]:
    return read_annotations(powder / "annotations_cvat.xml").images


@pytest.fixture(scope="module")
def from_via(powder: Path) -> tuple[AnnotatedImage, ...]:
    files = [
        read_annotations(powder / f"via_powder_{kind}_masks_{part}.json", powder / "images").images
        for kind in ("particle", "satellite")
        for part in ("training", "validation")
    ]
    return merged(*(renamed(file, {"Powder": "particle", "Satellite": "satellite"}) for file in files))


def test_both_files_draw_the_same_shapes(from_cvat, from_via):
    assert set(from_cvat) == set(from_via)
    drawn = Counter(each.label for image in from_cvat for each in image.annotations)
    # Of the 1360 and 1029 of all ten images, those on the six that are at hand.
    assert drawn == {"particle": 1067, "satellite": 677}


def test_both_files_give_the_same_instances(from_cvat, from_via):
    window = (slice(100, 400), slice(200, 700))
    by_name = {image.name: image for image in from_via}
    for image in from_cvat:
        first = instance_stack(cropped(image, window), CLASSES)
        second = instance_stack(cropped(by_name[image.name], window), CLASSES)
        assert np.array_equal(first.masks, second.masks)
        assert np.array_equal(first.labels, second.labels)
        assert np.array_equal(first.boxes, second.boxes)


def test_what_is_exported_comes_back(from_via):
    assert read_cvat(write_cvat(from_via, CLASSES[1:]), "file") == from_via


def test_the_lint_finds_what_is_wrong_with_real_annotations(from_cvat):
    found = lint_annotations(from_cvat[1:3], CLASSES[1:])
    faults = Counter(finding.fault for finding in found)
    assert faults["hole_between"] > 50
    assert faults["looks_occluded"] > 20
    # Nobody drew the particles of this image.
    (unsearched,) = (finding for finding in found if finding.fault == "unsearched_label")
    assert (unsearched.image, unsearched.label) == ("Sc1Tile_008-006-000_0-000.png", "particle")
    assert not {"mixed_sizes", "unused_label", "unlabelled_image"} & set(faults)
