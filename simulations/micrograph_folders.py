"""A scenario from folders of real micrographs: `DIR/<site>/*.tif`, `site.toml`, `truth/` or `labels/`."""

import re
from collections.abc import Sequence
from pathlib import Path

from model_library.degradation.recipe import Recipe
from model_library.images.frame import Frame
from model_library.wire.tasks import Segment, Task
from simulations.crops import Micrograph, lay_out
from simulations.errors import ScenarioError
from simulations.micrograph_files import SUFFIXES, read_pages
from simulations.scenario import Change, Micrographs, Scenario, SiteScenario, Writing
from simulations.site_file import (
    SMALLEST_FRAME_PX,
    SiteFile,
    change_of,
    read_site_file,
    recipe_of,
    task_of,
)


def scenario_of_folder(folder: Path, *, seed: int, frames: int) -> Scenario:
    """Lay out one site per sub-folder.

    Parameters
    ----------
    folder
        Holds `<site>/*.tif|png`, with an optional `<site>/site.toml` and an optional `<site>/truth/`
        of the same names; for a site that segments `<site>/labels/`, masks of the same names.
    seed
        Seeds the degradation.
    frames
        Frames per site at most, where `site.toml` does not say.

    Raises
    ------
    ScenarioError
        Where the folder or a `site.toml` cannot be used; the message names it.
    ImageError
        Where a file is not a grey image.
    """
    if not folder.is_dir():
        raise ScenarioError(
            f"expected a folder of sites, found none at {folder}; give --images an existing folder"
        )
    found = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    if not found:
        raise ScenarioError(
            f"expected one sub-folder per site in {folder}, found none; lay it out as {folder}/<site>/*.tif"
        )
    sites = tuple(_site(path, number, frames) for number, path in enumerate(found))
    names = [site.name for site in sites]
    if len(set(names)) < len(names):
        raise ScenarioError(
            f"expected sub-folders with different names in {folder}, found {names}; rename one"
        )
    return Scenario(seed=seed, sites=sites)


def _site(folder: Path, number: int, frames: int) -> SiteScenario:
    toml = folder / "site.toml"
    told = read_site_file(toml)
    task = task_of(told, toml)
    truth = _truth(folder, task)
    micrographs = [_micrograph(path, truth, task) for path in _images(folder)]
    # Masks are of the specimen, whatever the instrument does to it; a truth is of one acquisition.
    as_acquired = truth is not None and not isinstance(task, Segment)
    recipe = None if as_acquired else recipe_of(told, task, toml)
    coarser = recipe.scale if recipe else 1
    smallest = SMALLEST_FRAME_PX * coarser
    crops = lay_out(micrographs, side=told.side(task) * coarser, multiple=coarser, smallest=smallest)
    if not crops:
        raise ScenarioError(
            f"expected micrographs of at least {smallest} px in {folder}, found smaller ones; "
            "give larger ones or remove the folder"
        )
    crops = crops[: told.frames or frames]
    sizes = {image.pixel_size_nm for image in micrographs}
    pixel_size = told.pixel_size_nm or (sizes.pop() if len(sizes) == 1 else None)
    change = change_of(told, task, len(crops), toml)
    words = _in_words(told, recipe, len(micrographs), has_truth=as_acquired)
    return SiteScenario(
        name=_site_name(folder),
        task=task,
        source=Micrographs(crops=tuple(crops)),
        recipe=recipe,
        pixel_size_nm=pixel_size * coarser if pixel_size else None,
        frames=len(crops),
        writing=Writing.RENAMED if number % 3 == 1 else Writing.GROWING,
        federates=told.federate,
        change=change,
        told="; ".join((words, *_asides(told, task, change))),
    )


def _site_name(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:63]
    if not name:
        raise ScenarioError(f"expected a folder name with letters or digits, found {folder}; rename it")
    return name


def _truth(folder: Path, task: Task) -> Path | None:
    """Find what is known of the micrographs; segmentation needs it, for the simulated annotator."""
    name = "labels" if isinstance(task, Segment) else "truth"
    if (folder / name).is_dir():
        return folder / name
    if isinstance(task, Segment):
        raise ScenarioError(
            f"expected masks in {folder / name} for a site that segments, found none; "
            "add them, or choose denoise or super-resolve-x2"
        )
    return None


def _in_words(told: SiteFile, recipe: Recipe | None, files: int, *, has_truth: bool) -> str:
    if has_truth:
        return f"{files} real acquisitions, taken as they are; their truth is known to the report only"
    if recipe is None:
        return f"{files} real micrographs, taken as acquired; their truth is not known"
    named = told.degradation if isinstance(told.degradation, str) else _operators_in_words(recipe)
    return f"{files} real micrographs taken as clean; the microscope degrades them as it acquires ({named})"


def _asides(told: SiteFile, task: Task, change: Change | None) -> list[str]:
    asides = ["labelled by a simulated annotator from the given masks"] if isinstance(task, Segment) else []
    if change is not None:
        asides.append(change.told)
    return asides if told.federate else [*asides, "takes no part in federations"]


def _operators_in_words(recipe: Recipe) -> str:
    return ", ".join(operator.kind.replace("_", " ") for operator in recipe.operators)


def _images(folder: Path) -> list[Path]:
    images = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not images:
        raise ScenarioError(
            f"expected images ({', '.join(sorted(SUFFIXES))}) in {folder}, found none; "
            "put micrographs there or remove the folder"
        )
    return images


def _micrograph(path: Path, truth: Path | None, task: Task) -> Micrograph:
    pages = read_pages(path)
    partner = truth / path.name if truth else None
    if partner is not None:
        _expect_truth(path, pages, partner, task)
    shapes = tuple((page.pixels.shape[0], page.pixels.shape[1]) for page in pages)
    return Micrograph(path.resolve(), shapes, pages[0].pixel_size_nm, partner.resolve() if partner else None)


def _expect_truth(path: Path, pages: Sequence[Frame], partner: Path, task: Task) -> None:
    if not partner.exists():
        raise ScenarioError(
            f"expected the truth of {path} at {partner}, found nothing; add it or remove that folder"
        )
    expected = [tuple(side * task.scale for side in page.pixels.shape) for page in pages]
    found = [page.pixels.shape for page in read_pages(partner)]
    if expected != found:
        raise ScenarioError(
            f"expected pages of {expected} px in {partner}, found {found}; give the truth of {path}"
        )
