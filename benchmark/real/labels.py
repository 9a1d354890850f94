"""What people drew on the real micrographs, as masks, objects and cells."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import grey_dilation, grey_erosion, label

from benchmark.cases import Case, Instances, Labels, Partition, Reference
from benchmark.errors import BenchmarkError
from benchmark.real.sources import AXONS, ISBI, OXIDE, POWDER, SUPERALLOY, Part
from benchmark.real.table import Form, Labelled, RealCase
from benchmark.real.windows import Window, spread, windows
from model_library.annotations.cvat import read_cvat
from model_library.annotations.maps import instance_map
from model_library.annotations.shapes import AnnotatedImage
from model_library.images.frame import Frame
from model_library.images.readers import read_micrograph, read_stack

Numbers = NDArray[np.int32]


def labelled_cases(
    case: RealCase, how: Labelled, data: Path, part: Part, rng: np.random.Generator
) -> tuple[Case, ...]:
    """Cut images and their labels; files without labels for the target are left out.

    For tuning the richest square of each image is used: where a target is rare, most hold nothing of it.

    Raises
    ------
    BenchmarkError
        No image of the part is labelled.
    """
    tuning = part is Part.TUNING
    side, count = (case.tuning_px, 1) if tuning else (case.crop_px, case.windows)
    labelled = list(_images(case, how, data, part))
    if not labelled:
        raise BenchmarkError(f"expected labels of {how.target} in {data / case.source.folder}, found none")
    cases = []
    for name, frame, numbers in spread(labelled, case.tuning_images) if tuning else labelled:
        if numbers.shape != frame.pixels.shape:
            raise BenchmarkError(
                f"{name}: expected labels of shape {frame.pixels.shape}, found {numbers.shape}"
            )
        shape = (numbers.shape[0], numbers.shape[1])
        chosen = (_richest(numbers, side, rng),) if tuning else windows(shape, side, count, rng)
        for number, window in enumerate(chosen):
            reference = reference_of(numbers[window], how.form)
            cases.append(Case(f"{part}:{name}", f"{name}#{number}", frame.grey[window], reference))
    return tuple(cases)


def _richest(numbers: Numbers, side_px: int, rng: np.random.Generator) -> Window:
    """Find the square of a grid that holds most labelled pixels; the first of equal ones."""
    every = windows((numbers.shape[0], numbers.shape[1]), side_px, numbers.size, rng)
    return max(every, key=lambda window: int(np.count_nonzero(numbers[window])))


def reference_of(numbers: Numbers, form: Form) -> Reference:
    """Bring label numbers [Y, X], 0 for none, into the form that is scored."""
    match form:
        case Form.MASK:
            return Labels(numbers > 0)
        case Form.OBJECTS:
            return Instances(numbers)
        case Form.CELLS:
            return Partition(cells_apart(numbers))


def cells_apart(numbers: Numbers) -> Numbers:
    """Give every connected piece a number of its own; where two labels meet, both pixels become 0."""
    border = grey_dilation(numbers, footprint=_CROSS) != grey_erosion(numbers, footprint=_CROSS)
    found, _ = label((numbers > 0) & ~border)
    return np.asarray(found, dtype=np.int32)


def _images(case: RealCase, how: Labelled, data: Path, part: Part) -> Iterator[tuple[str, Frame, Numbers]]:
    """Give (name, image, label numbers) of every labelled image of a part."""
    pages = case.source.pages(part)
    for path in case.source.files(data, part):
        if pages:
            stack, numbers = read_stack(path), read_stack(_numbers_of_stack(path))
            for page in pages:
                yield f"{path.stem}#{page}", stack[page], numbers[page].pixels.astype(np.int32)
            continue
        found = _reader(case)(data / case.source.folder, path, how.target)
        if found is not None:
            yield path.stem, read_micrograph(path), found


def _reader(case: RealCase) -> "Callable[[Path, Path, str], Numbers | None]":
    if case.source.id not in _READERS:
        raise BenchmarkError(
            f"expected a source with labels ({', '.join(sorted(_READERS))}), found {case.source.id}"
        )
    return _READERS[case.source.id]


def _axons(folder: Path, image: Path, target: str) -> Numbers:
    beside = image.relative_to(folder).with_name(f"{image.stem}_seg-{target}-manual.png")
    # A few stray values lie between the levels 0 and 255.
    return (_pixels(folder / "derivatives" / "labels" / beside) > 127).astype(np.int32)


def _oxide(folder: Path, image: Path, target: str) -> Numbers:
    value = {"oxide": 1, "crack": 2}[target]
    return np.asarray(_pixels(folder / "labels" / image.name) == value, dtype=np.int32)


def _superalloy(_: Path, image: Path, __: str) -> Numbers:
    return (_pixels(image.parents[1] / "labels" / image.name) > 0).astype(np.int32)


def _isbi(folder: Path, image: Path, _: str) -> Numbers:
    inside, _count = label(_pixels(folder / "label" / image.name) > 127)
    return np.asarray(inside, dtype=np.int32)


def _powder(folder: Path, image: Path, target: str) -> Numbers | None:
    path = folder / "annotations_cvat.xml"
    for drawn in read_cvat(path.read_bytes(), path.name):
        kept = tuple(each for each in drawn.annotations if each.label == target)
        # An image without an entry of a kind was not annotated for it.
        if drawn.name == image.name and kept:
            return instance_map(AnnotatedImage(drawn.name, drawn.width, drawn.height, kept))
    return None


def _numbers_of_stack(path: Path) -> Path:
    return path.with_name(path.name.replace("raw_", "neuron_instances_"))


def _pixels(path: Path) -> Numbers:
    if not path.is_file():
        raise BenchmarkError(f"expected labels in {path}, found no such file; fetch the source again")
    return read_micrograph(path).pixels.astype(np.int32)


_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], dtype=bool)
_READERS: Mapping[str, "Callable[[Path, Path, str], Numbers | None]"] = {
    AXONS.id: _axons,
    OXIDE.id: _oxide,
    SUPERALLOY.id: _superalloy,
    ISBI.id: _isbi,
    POWDER.id: _powder,
}
