"""Images of several sites, one sub-folder each, as cases."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.cases import Case, Labels
from benchmark.errors import BenchmarkError
from benchmark.micrographs import Degrading, Micrograph, cases_of, read_folder, split_cases
from model_library.images.contents import FOLDER_SUFFIXES
from model_library.wire.tasks import UNKNOWN_CLASS, Segment, Task

ONLY_SITE = "all"
"""Name of the site where the images lie in the folder itself."""


@dataclass(frozen=True)
class Asked:
    """Which images to take, and how references are come by.

    Attributes
    ----------
    images
        Folder of images, or of one folder of images per site.
    how
        As in `micrographs.cases_of`; `truth` has the same sub-folders.
    labels
        File of annotations (CVAT, VIA, COCO) for segmentation; names of files in it are unique over sites.
    crop_px, at_most
        Side of the crop that is scored; files to read per site.
    """

    images: Path
    how: Degrading
    labels: Path | None = None
    crop_px: int = 384
    at_most: int | None = None
    seed: int = 0

    @property
    def told(self) -> dict[str, str | float | None]:
        """As JSON, from which the same cases can be asked for again."""
        return {
            "truth": None if self.how.truth is None else str(self.how.truth),
            "noise_sigma": self.how.noise_sigma,
            "labels": None if self.labels is None else str(self.labels),
            "crop_px": self.crop_px,
            "at_most": self.at_most,
            "seed": self.seed,
        }


@dataclass(frozen=True)
class SiteCases:
    """Cases of all sites; `sites` says of each field of view where it is from, `refused` of files why."""

    cases: tuple[Case, ...]
    sites: dict[str, str]
    refused: dict[str, str]

    def at(self, site: str) -> tuple[Case, ...]:
        """Cases of one site."""
        return tuple(case for case in self.cases if self.sites[case.field] == site)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the sites, sorted."""
        return tuple(sorted(set(self.sites.values())))

    def split(self, *, tuned: bool = True) -> tuple[tuple[Case, ...], tuple[Case, ...]]:
        """Part every site's cases: to tune on, and to score on; where nothing is tuned, all are scored."""
        if not tuned:
            return (), self.cases
        parts = [split_cases(self.at(site)) for site in self.names]
        return tuple(case for one, _ in parts for case in one), tuple(
            case for _, two in parts for case in two
        )


def read_sites(asked: Asked, task: Task) -> SiteCases:
    """Read every site's images and make cases of them.

    Raises
    ------
    BenchmarkError
        No image can be used, a truth is missing, or a segmentation has no labels.
    """
    cases: list[Case] = []
    sites: dict[str, str] = {}
    refused: dict[str, str] = {}
    rng = np.random.default_rng(asked.seed)
    drawn = _drawn(asked.labels, asked.images, task)
    for site, folder in _folders(asked.images):
        found = read_folder(folder, at_most=asked.at_most)
        refused |= {f"{site}/{name}": why for name, why in found.refused.items()}
        if isinstance(task, Segment):
            made = _labelled(found.images, drawn)
        else:
            truth = None if asked.how.truth is None else _below(asked.how.truth, site)
            how = Degrading(truth, asked.how.noise_sigma)
            made = cases_of(found.images, how, scale=task.scale, crop_px=asked.crop_px, rng=rng)
        for case in made:
            field = f"{site}/{case.field}"
            sites[field] = site
            cases.append(Case(field, case.name, case.input, case.reference))
    if not cases:
        raise BenchmarkError(
            f"expected images with labels in {asked.images}, found none that {asked.labels} names; compare"
            " the names of the files"
        )
    return SiteCases(tuple(cases), sites, refused)


def _folders(images: Path) -> list[tuple[str, Path]]:
    def holds_images(folder: Path) -> bool:
        return any(path.suffix.lower() in FOLDER_SUFFIXES for path in folder.glob("*"))

    below = [path for path in sorted(images.iterdir()) if path.is_dir() and holds_images(path)]
    if not below or holds_images(images):
        return [(ONLY_SITE, images)]
    return [(path.name, path) for path in below]


def _below(folder: Path, site: str) -> Path:
    return folder if site == ONLY_SITE else folder / site


def _drawn(labels: Path | None, images: Path, task: Task) -> Mapping[str, NDArray[np.uint8]]:
    """Class indices of every annotated image by the stem of its file; `UNKNOWN_CLASS` where nobody looked."""
    if not isinstance(task, Segment):
        return {}
    if labels is None:
        raise BenchmarkError("expected labels for a segmentation, found none; give --labels CVAT.xml")
    from model_library.annotations.reading import read_annotations
    from model_library.annotations.targets import target_map

    file = read_annotations(labels, images)
    return {Path(image.name).stem: target_map(image, task.classes) for image in file.images}


def _labelled(images: Sequence[Micrograph], drawn: Mapping[str, NDArray[np.uint8]]) -> tuple[Case, ...]:
    """Whole images on which every class is known: a segmentation scales grey values by the whole image."""
    return tuple(
        Case(image.field, image.name, image.pixels, Labels(drawn[image.name] > 0))
        for image in images
        if image.name in drawn
        and drawn[image.name].shape == image.pixels.shape
        and not (drawn[image.name] == UNKNOWN_CLASS).any()
    )
