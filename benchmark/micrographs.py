"""A folder of micrographs as cases."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from benchmark.cases import Case, Truth, repeat_cases
from benchmark.errors import BenchmarkError
from benchmark.splits import Split, assign, field_key
from model_library.degradation.noise import estimate_noise
from model_library.degradation.operators import block_mean
from model_library.errors import ImageError, UnsupportedImage
from model_library.images.acquisition_facts import acquisition_of
from model_library.images.contents import FOLDER_SUFFIXES, read_grey_frame, read_grey_planes
from model_library.images.frame import Frame, Grey
from model_library.images.readers import read_micrograph, read_stack
from model_library.signing.digests import sha256_file
from model_library.wire.images import AcquisitionFacts

_TIFF = frozenset({".tif", ".tiff"})
_PICTURES = frozenset({".png", ".jpg", ".jpeg"})
FEWEST_PX = 32
"""Side of the smallest image: noise, a spectrum and a network's surroundings need some."""
Mode = Literal["truth", "added_noise", "repeat"]


@dataclass(frozen=True)
class Micrograph:
    """One image of a folder: its field of view, a name for reports, pixels float32 [Y, X] in counts.

    `pixel_size_nm` and `acquisition` are None where the file does not tell; `sha256` is that of the file.
    """

    field: str
    name: str
    pixels: Grey
    pixel_size_nm: float | None = None
    sha256: str = ""
    acquisition: AcquisitionFacts | None = None


@dataclass(frozen=True)
class Folder:
    """What was read from a folder, and the files that were refused, each with the reason."""

    images: tuple[Micrograph, ...]
    refused: dict[str, str]


@dataclass(frozen=True)
class Degrading:
    """How inputs and references are come by.

    Attributes
    ----------
    truth
        Folder of noise-free images of the same names.
    noise_sigma
        Noise to add to clean images, as a share of each image's 1st to 99th percentile.

    With neither, the images are taken as acquired, and methods are judged by recorruption.
    """

    truth: Path | None = None
    noise_sigma: float | None = None

    @property
    def mode(self) -> Mode:
        """Which of the three it is."""
        if self.truth is not None:
            return "truth"
        return "repeat" if self.noise_sigma is None else "added_noise"


def read_folder(folder: Path, *, at_most: int | None = None) -> Folder:
    """Read every TIFF (each page of a stack), PNG, JPEG and grey image of a vendor, in order of their names.

    The pages of one file, and files of one stage label, are one field of view.

    Raises
    ------
    BenchmarkError
        If the folder holds no image that can be used.
    """
    images: list[Micrograph] = []
    refused: dict[str, str] = {}
    named = (path for path in folder.glob("*") if path.suffix.lower() in FOLDER_SUFFIXES)
    paths = sorted(path for path in named if not path.is_dir())
    for path in paths[:at_most]:
        try:
            frames = _frames(path)
            digest = sha256_file(path)
        except (ImageError, OSError) as refusal:
            refused[path.name] = str(refusal)
            continue
        for page, frame in enumerate(frames):
            name = path.stem if len(frames) == 1 else f"{path.stem}#{page}"
            if (why := _shows_nothing(frame.grey)) is not None:
                refused[path.name if len(frames) == 1 else f"{path.name}#{page}"] = f"{path.name}: {why}"
                continue
            field = field_key(frame.field, digest)
            told = acquisition_of(frame.metadata)
            images.append(Micrograph(field, name, frame.grey, frame.pixel_size_nm, digest, told))
    if not images:
        why = "; ".join(refused.values()) or "no .tif, .tiff, .png or .jpg, nor a file of a vendor"
        raise BenchmarkError(f"expected micrographs in {folder}, found {why}")
    return Folder(tuple(images), refused)


def cases_of(
    images: Sequence[Micrograph], how: Degrading, *, scale: int, crop_px: int, rng: np.random.Generator
) -> tuple[Case, ...]:
    """Turn micrographs into cases.

    Raises
    ------
    BenchmarkError
        If an image lacks its truth, or the truth is not `scale` times its size.
    """
    if how.truth is not None:
        truths = {image.name: image.pixels for image in read_folder(how.truth).images}
        return tuple(_with_truth(image, truths, scale, crop_px, rng) for image in images)
    if how.noise_sigma is not None:
        return tuple(_with_noise(image, how.noise_sigma, scale, crop_px, rng) for image in images)
    noise = estimate_noise([image.pixels for image in images])
    pairs = [(image.field, image.pixels) for image in images]
    named = zip(images, repeat_cases(pairs, noise, rng, crop_px), strict=True)
    return tuple(replace(case, name=image.name) for image, case in named)


def split_cases(cases: Sequence[Case]) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
    """Part cases into those to tune on and those to score on, by field of view in order of arrival."""
    taken: dict[str, Split] = {}
    for case in cases:
        taken[case.field] = assign(case.field, taken)
    tuning = tuple(case for case in cases if taken[case.field] is Split.TUNING)
    scored = tuple(case for case in cases if taken[case.field] is not Split.TUNING)
    if not tuning or not scored:
        raise BenchmarkError(
            f"expected at least 2 fields of view (files, or stage labels), found {len(taken)}: one to tune"
            " the classical algorithms on, one to score on; add images of other places"
        )
    return tuning, scored


def _frames(path: Path) -> list[Frame]:
    suffix = path.suffix.lower()
    if suffix in _TIFF:
        try:
            return read_stack(path)
        except UnsupportedImage:
            # Perhaps grey in the guise of colour, or numbers of another kind.
            return list(read_grey_planes(path)[1])
    return [read_micrograph(path) if suffix in _PICTURES else read_grey_frame(path)]


def _shows_nothing(pixels: Grey) -> str | None:
    """Say why no method can be judged on an image; its scores would be those of rounding."""
    if min(pixels.shape) < FEWEST_PX:
        rows, columns = pixels.shape
        return f"expected {FEWEST_PX} pixels a side or more, found {columns} x {rows}; send larger images"
    low, high = float(pixels.min()), float(pixels.max())
    if low == high:
        return f"expected an image of a specimen, found one grey value, {low:g}, everywhere; leave it out"
    return None


def _with_truth(
    image: Micrograph, truths: dict[str, Grey], scale: int, crop_px: int, rng: np.random.Generator
) -> Case:
    truth = truths.get(image.name)
    wanted = tuple(side * scale for side in image.pixels.shape)
    if truth is None or truth.shape != wanted:
        found = "none" if truth is None else f"one of {truth.shape}"
        raise BenchmarkError(f"expected a truth of shape {wanted} named like {image.name}, found {found}")
    window = _window(image.pixels.shape, crop_px // scale, rng)
    fine = tuple(slice(part.start * scale, part.stop * scale) for part in window)
    return Case(image.field, image.name, image.pixels[window], Truth.of(truth[fine]))


def _with_noise(image: Micrograph, sigma: float, scale: int, crop_px: int, rng: np.random.Generator) -> Case:
    sides = tuple(side // scale * scale for side in image.pixels.shape)
    clean = image.pixels[: sides[0], : sides[1]]
    low, high = np.percentile(clean, (1, 99))
    window = _window(sides, crop_px // scale * scale, rng)
    truth = clean[window]
    coarse = block_mean(truth, scale) if scale > 1 else truth
    noise = rng.standard_normal(coarse.shape, dtype=np.float32) * np.float32(sigma * (high - low))
    return Case(image.field, image.name, coarse + noise, Truth.of(truth))


def _window(shape: tuple[int, ...], crop_px: int, rng: np.random.Generator) -> tuple[slice, slice]:
    height, width = (min(side, crop_px) for side in shape)
    top = int(rng.integers(0, shape[0] - height + 1))
    left = int(rng.integers(0, shape[1] - width + 1))
    return slice(top, top + height), slice(left, left + width)
