"""Real micrographs with labels: read, parted by specimen, and cut into squares to learn from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_library.annotations.cvat import read_cvat
from model_library.annotations.maps import instance_map
from model_library.annotations.shapes import AnnotatedImage
from model_library.cards.card import TrainingData
from model_library.degradation.operators import block_mean
from model_library.errors import RecipeError
from model_library.images.frame import Grey
from model_library.images.readers import read_micrograph
from model_library.measurement.borders import bordered
from model_library.signing.digests import sha256_file
from model_library.specimens import Instances, Mask, fitted
from model_library.zoo.recipe import LabelledSource

POLYGONS = ".xml"


@dataclass(frozen=True, slots=True)
class LabelledMicrograph:
    """A binned micrograph and where its structure is.

    Attributes
    ----------
    specimen
        What it was taken of.
    path
        Where it was read.
    pixels
        float32 [Y, X], counts.
    mask
        The structure [Y, X].
    instances
        Its objects [1, Y, X], where labels tell them apart.
    """

    specimen: str
    path: Path
    pixels: Grey
    mask: Mask
    instances: Instances | None = None

    def classes(self, border_px: int | None) -> Grey:
        """Class of each pixel [Y, X] as float32: 1 is the structure, 2 the rim of its objects."""
        return class_image(self.mask, self.instances, border_px)


def class_image(mask: Mask, instances: Instances | None, border_px: int | None) -> Grey:
    """Class of each pixel [Y, X] as float32; with `border_px`, objects must be told apart.

    Raises
    ------
    RecipeError
        There are no objects to draw rims in.
    """
    if border_px is None:
        return mask.astype(np.float32)
    if instances is None:
        raise RecipeError(
            "expected objects that are told apart (border_px), found a mask alone; leave border_px out, or "
            "name polygons as labels"
        )
    return bordered(instances.max(axis=0), border_px).astype(np.float32)


def labelled_micrographs(
    source: LabelledSource, structure: str, data: Path | None, *, held_out: bool
) -> tuple[LabelledMicrograph, ...]:
    """Read the micrographs of one side of a split, sorted by path.

    Parameters
    ----------
    source
        Where they lie, and how they are parted.
    structure
        Label of its shapes, where labels are polygons.
    data
        The folder of micrographs.
    held_out
        Whether those that training never sees are wanted, or those that it sees.

    Raises
    ------
    RecipeError
        No data folder was given, an image has no specimen or no labels, or one side is empty.
    """
    root, paths = _images(source, data)
    specimens = {path: _specimen(source, path.relative_to(root)) for path in paths}
    wanted = [path for path in paths if (specimens[path] in source.held_out) == held_out]
    if not wanted:
        raise RecipeError(
            f"{source.folder}: expected specimens that training {'never sees' if held_out else 'sees'}, "
            f"found only {', '.join(sorted(set(specimens.values())))}; correct held_out"
        )
    drawn = _drawn(root / source.labels) if source.labels.endswith(POLYGONS) else None
    images = []
    for path in wanted:
        marked = _raster(source, root, path) if drawn is None else _objects(drawn, path, structure)
        pixels = read_micrograph(path).grey
        if marked.shape != pixels.shape:
            raise RecipeError(
                f"{path}: expected labels of {pixels.shape}, found {marked.shape}; label it at its own size"
            )
        mask = block_mean((marked > 0).astype(np.float32), source.bin) >= 0.5
        objects = None if drawn is None else fitted(_sampled(marked, source.bin, mask.shape), mask)
        images.append(
            LabelledMicrograph(specimens[path], path, block_mean(pixels, source.bin), mask, objects)
        )
    return tuple(images)


def training_data(source: LabelledSource, images: Sequence[LabelledMicrograph]) -> TrainingData:
    """Tell the card about labelled micrographs that training saw."""
    names = ", ".join(sorted({image.specimen for image in images}))
    binned = f", binned {source.bin} x {source.bin}" if source.bin > 1 else ""
    return TrainingData(
        source=f"{source.folder}, labelled, specimens {names}{binned}",
        terms=source.terms,
        images=len(images),
        digests=tuple(sha256_file(image.path) for image in images),
        simulated=False,
    )


def squares(
    image: LabelledMicrograph, side_px: int, border_px: int | None
) -> tuple[list[tuple[Grey, Grey]], list[tuple[Grey, Grey]]]:
    """Cut a micrograph into squares that cover it: (pixels, classes) with the structure, and without."""
    classes = image.classes(border_px)
    some: list[tuple[Grey, Grey]] = []
    none: list[tuple[Grey, Grey]] = []
    for top in places(image.pixels.shape[0], side_px):
        for left in places(image.pixels.shape[1], side_px):
            window = (slice(top, top + side_px), slice(left, left + side_px))
            (some if classes[window].any() else none).append((image.pixels[window], classes[window]))
    return some, none


def places(length: int, side_px: int) -> list[int]:
    """Where squares of a side begin that cover a length, evenly spread."""
    last = max(length - side_px, 0)
    count = -(-length // side_px)
    return [round(last * number / max(count - 1, 1)) for number in range(count)]


def _images(source: LabelledSource, data: Path | None) -> tuple[Path, list[Path]]:
    root = (data or Path()) / source.folder
    paths = sorted(root.glob(source.images)) if data is not None else []
    if not paths:
        raise RecipeError(
            f"expected micrographs {source.folder}/{source.images} in the data folder, found none in "
            f"{data or 'no folder at all'}; name the folder with --data"
        )
    return root, paths


def _specimen(source: LabelledSource, path: Path) -> str:
    found = re.search(source.specimen, path.as_posix())
    if found is None:
        raise RecipeError(
            f"{path}: expected a specimen like {source.specimen} in its path; correct the recipe"
        )
    return found.group(0)


def _drawn(path: Path) -> dict[str, AnnotatedImage]:
    try:
        return {image.name: image for image in read_cvat(path.read_bytes(), path.name)}
    except OSError as failure:
        raise RecipeError(
            f"{path}: expected annotations, found {failure.strerror}; correct labels"
        ) from failure


def _raster(source: LabelledSource, root: Path, path: Path) -> NDArray[np.int32]:
    """1 [Y, X] where the image of labels has one of the structure's values."""
    parent = path.parent.relative_to(root).as_posix()
    labels = root / source.labels.format(parent=parent, stem=path.stem)
    if not labels.is_file():
        raise RecipeError(f"{path}: expected its labels in {labels}, found no file; correct labels")
    low, high = source.values or (1, 255)
    grey = read_micrograph(labels).grey
    return ((grey >= low) & (grey <= high)).astype(np.int32)


def _objects(drawn: dict[str, AnnotatedImage], path: Path, structure: str) -> NDArray[np.int32]:
    image = drawn.get(path.name)
    kept = () if image is None else tuple(each for each in image.annotations if each.label == structure)
    if image is None or not kept:
        raise RecipeError(
            f"{path}: expected shapes labelled {structure}, found none: nobody annotated it; "
            "narrow the pattern of images"
        )
    return instance_map(AnnotatedImage(image.name, image.width, image.height, kept))


def _sampled(objects: NDArray[np.int32], bin_px: int, shape: tuple[int, ...]) -> NDArray[np.int32]:
    middle = bin_px // 2
    return objects[None, middle::bin_px, middle::bin_px][:, : shape[0], : shape[1]]
