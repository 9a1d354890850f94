"""What people draw on micrographs: shapes, files of CVAT, VIA and COCO, and the masks that they mean."""

from model_library.annotations.coco import read_coco
from model_library.annotations.cvat import read_cvat
from model_library.annotations.cvat_writing import write_cvat
from model_library.annotations.drawings import cropped, merged, renamed
from model_library.annotations.finding import Finding
from model_library.annotations.lint import lint_annotations
from model_library.annotations.maps import class_map, instance_map
from model_library.annotations.predictions import draw_classes, draw_instances, draw_stack
from model_library.annotations.rasterise import rasterise
from model_library.annotations.reading import AnnotationFile, image_sizes, read_annotations
from model_library.annotations.shapes import (
    AnnotatedImage,
    Annotation,
    Box,
    Ellipse,
    PixelMask,
    Polygon,
    Polyline,
)
from model_library.annotations.targets import (
    InstanceStack,
    detection_target,
    instance_stack,
    one_hot,
    target_map,
)
from model_library.annotations.via import read_via
from model_library.wire.tasks import UNKNOWN_CLASS

__all__ = [
    "UNKNOWN_CLASS",
    "AnnotatedImage",
    "Annotation",
    "AnnotationFile",
    "Box",
    "Ellipse",
    "Finding",
    "InstanceStack",
    "PixelMask",
    "Polygon",
    "Polyline",
    "class_map",
    "cropped",
    "detection_target",
    "draw_classes",
    "draw_instances",
    "draw_stack",
    "image_sizes",
    "instance_map",
    "instance_stack",
    "lint_annotations",
    "merged",
    "one_hot",
    "rasterise",
    "read_annotations",
    "read_coco",
    "read_cvat",
    "read_via",
    "renamed",
    "target_map",
    "write_cvat",
]
