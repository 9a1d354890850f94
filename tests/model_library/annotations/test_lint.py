"""The label lint finds each planted fault, names its place, and is silent about good labels."""

import pytest

from model_library.annotations import (
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    Finding,
    Polygon,
    Polyline,
    lint_annotations,
)

DISC = Ellipse(30, 30, 15, 15)
BITTEN = Polygon(((40, 10), (70, 10), (70, 60), (40, 60), (40, 42), (48, 36), (48, 26), (40, 18)))
"""A rectangle that ends where the disc begins, as if the disc lay upon it."""
PLUG = Ellipse(36, 30, 13, 13)


def image(*shapes, name="a.png", size=(100, 80), searched=()):
    annotations = tuple(s if isinstance(s, Annotation) else Annotation("void", s) for s in shapes)
    return AnnotatedImage(name, *size, annotations, frozenset(searched))


def faults(*images, labels=(), sizes=None):
    return [
        (finding.fault, finding.image, finding.label, finding.shape)
        for finding in lint_annotations(images, labels, sizes)
    ]


@pytest.mark.parametrize(
    ("shapes", "expected"),
    [
        pytest.param([DISC], [], id="a disc"),
        pytest.param([DISC, Ellipse(70, 30, 15, 10, 30)], [], id="two that are apart"),
        pytest.param([Polyline(((1, 1), (50, 50)), 3)], [], id="a line"),
        pytest.param([BITTEN], [], id="a concave one that nothing hides"),
        pytest.param([Box(5, 5, 6, 6)], [("hardly_any_area", 1)], id="a slip"),
        pytest.param([DISC, Box(200, 5, 220, 60)], [("hardly_any_area", 2)], id="outside"),
        pytest.param([Box(5, 5, 9, 5)], [("hardly_any_area", 1)], id="flat"),
        pytest.param(
            [Polygon(((10, 10), (60, 60), (60, 10), (10, 60)))], [("self_crossing", 1)], id="a bow tie"
        ),
        pytest.param([PLUG, BITTEN], [("looks_occluded", 2)], id="one that ends at its neighbour"),
        pytest.param([PLUG, Annotation("void", BITTEN, occluded=True)], [], id="one marked as occluded"),
        pytest.param([Box(20, 10, 70, 60), BITTEN], [], id="one that lies upon another"),
        pytest.param(
            [Polygon(((10, 10), (40, 10), (40, 30), (37, 35), (40, 40), (40, 60), (10, 60))),
             Box(40, 10, 70, 60)],
            [("hole_between", 1)],
            id="a hole between two",
        ),
        pytest.param(
            [Box(10, 10, 60, 20), Box(10, 50, 60, 60), Box(10, 10, 20, 60), Box(50, 10, 60, 60)],
            [],
            id="background that four enclose",
        ),
        pytest.param(
            [Box(60, 0, 100, 40), Box(60, 41, 100, 80), Box(40, 0, 60, 80)], [], id="a gap to the edge"
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_shapes_is_found_and_nothing_else(shapes, expected):
    assert faults(image(*shapes)) == [(fault, "a.png", "void", shape) for fault, shape in expected]


def test_images_of_another_size_than_most_are_found():
    images = [image(DISC, name=name) for name in ("a", "b")] + [image(DISC, name="c", size=(101, 80))]
    assert faults(*images) == [("mixed_sizes", "c", None, None)]


def test_labels_that_nobody_used_are_found():
    drawn = image(DISC, searched=["crack"])
    assert faults(drawn, labels=["void", "crack", "pore"]) == [("unused_label", None, "pore", None)]


def test_images_without_labels_are_found_unless_they_were_searched():
    empty = image(name="empty")
    searched = image(name="searched", searched=["void"])
    assert faults(image(DISC), empty, searched) == [("unlabelled_image", "empty", None, None)]


def test_images_that_do_not_tell_about_a_label_are_found():
    other = image(Annotation("crack", DISC), name="b.png", searched=["void"])
    assert faults(image(DISC), other) == [("unsearched_label", "a.png", "crack", None)]


def test_files_that_are_missing_unlisted_or_of_another_size_are_found():
    images = [image(DISC, name=f"batch/{name}") for name in ("a.png", "b.png", "c.png")]
    sizes = {"a.png": (80, 100), "sub/b.png": (80, 99), "d.png": (80, 100)}
    assert faults(*images, sizes=sizes) == [
        ("other_size", "batch/b.png", None, None),
        ("missing_image", "batch/c.png", None, None),
        ("unlabelled_image", "d.png", None, None),
    ]


def test_a_finding_says_where_what_and_what_to_do():
    (finding,) = lint_annotations([image(Polygon(((10, 10), (60, 60), (60, 10), (10, 60))))])
    assert str(finding).startswith("a.png, void, shape 1: its outline crosses itself at x 35.0, y 35.0")
    assert finding.remedy in str(finding)
    assert Finding.model_validate_json(finding.model_dump_json()) == finding
