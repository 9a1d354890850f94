"""VIA and COCO say the same as CVAT: the same shapes come out, and nonsense is refused where it stands."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pycocotools import mask as reference

from model_library.annotations import (
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    PixelMask,
    Polygon,
    Polyline,
    instance_stack,
    read_annotations,
    read_coco,
    read_via,
    write_cvat,
)
from model_library.annotations.coco import read_coco_labels
from model_library.annotations.via import read_via_labels
from model_library.errors import AnnotationError

SIZES = {"a.png": (80, 100), "b.png": (80, 100)}
SQUARE = {"name": "rect", "x": 1, "y": 2, "width": 3, "height": 4}


def region(shape, **attributes):
    return {"shape_attributes": shape, "region_attributes": attributes or {"kind": "void"}}


def project(*regions):
    images = {
        "a.png123": {"filename": "a.png", "size": 123, "regions": list(regions), "file_attributes": {}},
        "b.png456": {"filename": "b.png", "size": 456, "regions": [], "file_attributes": {}},
    }
    choice = {"kind": {"type": "dropdown", "options": {"void": "", "crack": ""}}}
    return {"_via_img_metadata": images, "_via_attributes": {"region": choice, "file": {}}}


def via(document, **how):
    return read_via(json.dumps(document).encode(), "via.json", SIZES, **how)


def coco(*annotations, **changes):
    document = {
        "images": [{"id": 5, "file_name": "a.png", "width": 100, "height": 80}],
        "categories": [{"id": 2, "name": "void"}, {"id": 3, "name": "crack"}],
        "annotations": [
            {"id": n, "image_id": 5, "category_id": 2, **each} for n, each in enumerate(annotations)
        ],
        **changes,
    }
    return json.dumps(document).encode()


def drawn(*shapes):
    return AnnotatedImage("a.png", 100, 80, tuple(Annotation("void", shape) for shape in shapes))


def test_every_region_of_via_becomes_its_shape():
    points = {"all_points_x": [1, 9.5, 9], "all_points_y": [2, 2, 8]}
    document = project(
        region({"name": "polygon", **points}),
        region({"name": "polyline", **points}),
        region(SQUARE),
        region({"name": "circle", "cx": 20, "cy": 30, "r": 5}),
        region({"name": "ellipse", "cx": 20, "cy": 30, "rx": 5, "ry": 3}),
        region({"name": "ellipse", "cx": 20, "cy": 30, "rx": 5, "ry": 3, "theta": math.pi / 6}),
    )
    first, second = via(document, line_width_px=3.0)
    outline = ((1, 2), (9.5, 2), (9, 8))
    assert first == drawn(
        Polygon(outline),
        Polyline(outline, 3.0),
        Box(1, 2, 4, 6),
        Ellipse(20, 30, 5, 5),
        Ellipse(20, 30, 5, 3),
        Ellipse(20, 30, 5, 3, math.degrees(math.pi / 6)),
    )
    assert second == AnnotatedImage("b.png", 100, 80)
    assert read_via_labels(json.dumps(document).encode(), "via.json") == ("void", "crack")


def test_what_via_exports_without_its_project_is_read_too():
    document = project(region(SQUARE))
    assert via(document["_via_img_metadata"]) == via(document)


@pytest.mark.parametrize(
    ("attributes", "how"),
    [
        ({"kind": " void\n"}, {}),
        ({"kind": {"void": True, "crack": False}}, {}),
        ({"kind": "void", "sure": "no"}, {"label_attribute": "kind"}),
    ],
)
def test_a_label_of_via_is_found(attributes, how):
    assert via(project(region(SQUARE, **attributes)), **how)[0].annotations[0].label == "void"


@pytest.mark.parametrize(
    ("shape", "attributes", "expected"),
    [
        ({"name": "point", "cx": 1, "cy": 1}, {}, "found point, which has no area"),
        ({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1, 2]}, {}, "at least 3 points"),
        ({"name": "polygon", "all_points_x": [1, 2, 3], "all_points_y": [1, 2]}, {}, "found 3 and 2"),
        ({"name": "circle", "cx": 1, "cy": 1, "r": 0}, {}, "r: expected a positive number"),
        ({"name": "circle", "cx": 1, "cy": True, "r": 1}, {}, "cy: expected a number, found True"),
        ({"name": "circle", "cx": 1e300, "cy": 1, "r": 1}, {}, "a coordinate near the image"),
        ({"name": "circle", "cx": 10**400, "cy": 1, "r": 1}, {}, "a coordinate near the image"),
        (SQUARE, {"kind": " "}, "kind: expected a text"),
        (SQUARE, {"kind": "void", "sure": "no"}, "one attribute that holds the label, found kind, sure"),
        (SQUARE, {"kind": {"void": True, "crack": True}}, "expected a text"),
    ],
)
def test_a_region_that_makes_no_sense_is_refused_where_it_stands(shape, attributes, expected):
    with pytest.raises(AnnotationError, match=r"via\.json, image a\.png, region 1.*" + expected):
        via(project(region(shape, **attributes)))


def test_via_needs_the_sizes_of_the_images():
    with pytest.raises(AnnotationError, match=r"size of image a\.png.*give the folder"):
        read_via(json.dumps(project()).encode(), "via.json", {})


def test_every_segmentation_of_coco_becomes_its_shape():
    column_by_column = {"counts": [80 * 3 + 2, 2, 78, 1, 80 * 100 - 323], "size": [80, 100]}
    found = read_coco(
        coco(
            {"segmentation": [[1, 2, 9.5, 2, 9, 8]]},
            {"segmentation": [[0, 0, 2, 0, 2, 1, 0, 1], [4, 0, 5, 0, 5, 2, 4, 2]]},
            {"segmentation": column_by_column, "iscrowd": 0},
            {"bbox": [1, 2, 3, 4]},
            {"bbox": [1, 2, 3, 4], "segmentation": None},
        ),
        "coco.json",
    )
    assert found == (
        drawn(
            Polygon(((1, 2), (9.5, 2), (9, 8))),
            PixelMask(0, 0, 5, 2, (0, 2, 2, 1, 4, 1)),
            PixelMask(3, 2, 2, 2, (0, 3, 1)),
            Box(1, 2, 4, 6),
            Box(1, 2, 4, 6),
        ),
    )
    assert read_coco_labels(coco(), "coco.json") == ("void", "crack")


@settings(derandomize=True, deadline=None)
@given(arrays.arrays(bool, (80, 100), elements=st.booleans(), fill=st.just(False)) | st.integers(1, 7999))
def test_packed_run_lengths_are_those_of_the_reference_implementation(mask):
    if isinstance(mask, int):
        mask = np.arange(8000).reshape(80, 100) % mask == 0
    mask[40, 50] = True
    packed = reference.encode(np.asfortranarray(mask.astype(np.uint8)))
    segmentation = {"counts": packed["counts"].decode(), "size": packed["size"]}
    (image,) = read_coco(coco({"segmentation": segmentation}), "coco.json")
    assert np.array_equal(instance_stack(image, ["background", "void"]).masks[0], mask)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (coco({"segmentation": [[1, 2, 3, 4]]}), "annotations 1, segmentation 1: expected at least three"),
        (coco({"segmentation": [[1, 2, 3, 4, 5, "6"]]}), "expected a number"),
        (coco({"segmentation": {"counts": [1], "size": [80, 100]}}), "found a sum of 1"),
        (coco({"segmentation": {"counts": [8001, -1], "size": [80, 100]}}), "fill 80 x 100|fill 100 x 80"),
        (coco({"segmentation": {"counts": "o", "size": [80, 100]}}), "an end amid a number"),
        (coco({"segmentation": {"counts": "~~~", "size": [80, 100]}}), "packed run lengths"),
        (coco({"segmentation": {"counts": [8000], "size": [80, 100]}}), "at least one pixel"),
        (coco({"segmentation": {"counts": [8000], "size": [8, 1000]}}), "an image of 100 x 80"),
        (coco({"segmentation": [[-9, -9, -8, -9, -8, -8]] * 2}), "at least one pixel of the image"),
        (coco({"segmentation": [], "bbox": [1, 2, 3]}), "four numbers"),
        (coco({"bbox": [1, 2, 3, 4], "iscrowd": 1}), "found a crowd"),
        (coco({"bbox": [1, 2, 3, 4], "image_id": 6}), "image_id: expected a number that the file lists"),
        (
            coco({"bbox": [1, 2, 3, 4], "category_id": 9}),
            "category_id: expected a number that the file lists",
        ),
        (coco({}), "an object with bbox"),
        (coco(images=[{"id": 1, "file_name": "../a", "width": 9, "height": 9}]), "inside the folder"),
        (coco(images=[{"id": 1, "file_name": "a", "width": 65536, "height": 65536}]), "a size in pixels"),
        (coco(images=3), "images: expected a list"),
        (coco().replace(b"80", b"NaN"), "found the number NaN"),
        (b"[" * 100_000, "JSON file of VIA or COCO"),
        (b"\xff{", "JSON file of VIA or COCO"),
        (b"[]", "an object with categories"),
    ],
)
def test_coco_that_makes_no_sense_is_refused(content, expected):
    with pytest.raises(AnnotationError, match=expected):
        read_coco(content, "coco.json")


def test_a_file_is_known_by_its_content(tmp_path):
    image = drawn(Polygon(((1, 2), (9.5, 2), (9, 8))))
    files = {
        "cvat.dat": write_cvat([image], ["void"]),
        "coco.dat": b"\xef\xbb\xbf\n" + coco({"segmentation": [[1, 2, 9.5, 2, 9, 8]]}),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert read_annotations(tmp_path / name).images == (image,)
    with pytest.raises(AnnotationError, match="found no"):
        read_annotations(tmp_path / "nothing.xml")
    (tmp_path / "via.dat").write_bytes(json.dumps(project()).encode())
    with pytest.raises(AnnotationError, match="folder of images"):
        read_annotations(tmp_path / "via.dat", tmp_path / "nowhere")
