"""Opening files of annotations: CVAT, VIA or COCO, told apart by their content."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model_library.annotations.coco import read_coco, read_coco_labels
from model_library.annotations.cvat import read_cvat, read_cvat_labels
from model_library.annotations.shapes import AnnotatedImage
from model_library.annotations.untrusted import parse_json
from model_library.annotations.via import read_via, read_via_labels
from model_library.errors import AnnotationError
from model_library.images.readers import read_micrograph

_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff"})
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class AnnotationFile:
    """What a file of annotations holds.

    Attributes
    ----------
    images
        Those that the file lists, with what was drawn on them.
    labels
        Those that the annotators could choose from; empty where the file does not tell.
    """

    images: tuple[AnnotatedImage, ...]
    labels: tuple[str, ...]


def read_annotations(
    path: Path,
    images: Path | Mapping[str, tuple[int, int]] | None = None,
    *,
    label_attribute: str | None = None,
    line_width_px: float = 1.0,
) -> AnnotationFile:
    """Read a file of annotations.

    Parameters
    ----------
    path
        CVAT for images 1.1 (XML, or the task's zip), a VIA 2 project or its JSON, or COCO.
    images
        Folder of the images, or their heights and widths in pixels by name; needed for VIA, which does
        not write their sizes.
    label_attribute
        Attribute of VIA regions that holds their label, where they have several.
    line_width_px
        Width of polylines that do not tell their own.

    Raises
    ------
    AnnotationError
        There is no such file, it is none of these, malformed or hostile, or sizes are missing.
    ImageError
        An image in the folder cannot be read.
    """
    if not path.is_file():
        raise AnnotationError(f"expected a file of annotations, found no {path}; export one from CVAT")
    content = path.read_bytes().removeprefix(_BYTE_ORDER_MARK)
    if not content.lstrip().startswith((b"{", b"[")):
        drawn = read_cvat(content, path.name, line_width_px=line_width_px)
        return AnnotationFile(drawn, read_cvat_labels(content, path.name))
    document = parse_json(content, path.name)
    if isinstance(document, dict) and "annotations" in document and "categories" in document:
        return AnnotationFile(read_coco(content, path.name), read_coco_labels(content, path.name))
    sizes = image_sizes(images) if isinstance(images, Path) else images or {}
    drawn = read_via(content, path.name, sizes, label_attribute=label_attribute, line_width_px=line_width_px)
    return AnnotationFile(drawn, read_via_labels(content, path.name))


def image_sizes(folder: Path) -> dict[str, tuple[int, int]]:
    """Read the heights and widths in pixels of the images below a folder, by path within it.

    Raises
    ------
    AnnotationError
        There is no such folder.
    ImageError
        An image cannot be read.
    """
    if not folder.is_dir():
        raise AnnotationError(
            f"expected a folder of images, found no {folder}; give the one that was annotated"
        )
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    sizes = {}
    for file in files:
        height, width = read_micrograph(file).pixels.shape
        sizes[file.relative_to(folder).as_posix()] = (height, width)
    return sizes
