"""A scenario from folders of real micrographs: `DIR/<site>/*.tif`, `site.toml`, `truth/`."""

import re
from collections.abc import Sequence
from pathlib import Path

from model_library.degradation.recipe import Recipe
from model_library.images.frame import Frame
from model_library.wire.tasks import Task
from simulations.crops import Micrograph, lay_out
from simulations.errors import ScenarioError
from simulations.micrograph_files import SUFFIXES, read_pages
from simulations.scenario import Micrographs, Scenario, SiteScenario, Writing
from simulations.site_file import SMALLEST_FRAME_PX, SiteFile, read_site_file, recipe_of, task_of


def scenario_of_folder(folder: Path, *, seed: int, frames: int) -> Scenario:
    """Lay out one site per sub-folder.

    Parameters
    ----------
    folder
        Holds `<site>/*.tif|png`, with an optional `<site>/site.toml` and an optional `<site>/truth/`
        of the same names.
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
    truth = folder / "truth" if (folder / "truth").is_dir() else None
    micrographs = [_micrograph(path, truth, task) for path in _images(folder)]
    recipe = None if truth else recipe_of(told, task, toml)
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
    return SiteScenario(
        name=_site_name(folder),
        task=task,
        source=Micrographs(crops=tuple(crops)),
        recipe=recipe,
        pixel_size_nm=pixel_size * coarser if pixel_size else None,
        frames=len(crops),
        writing=Writing.RENAMED if number % 3 == 1 else Writing.GROWING,
        told=_in_words(told, recipe, truth, len(micrographs)),
    )


def _site_name(folder: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:63]
    if not name:
        raise ScenarioError(f"expected a folder name with letters or digits, found {folder}; rename it")
    return name


def _in_words(told: SiteFile, recipe: Recipe | None, truth: Path | None, files: int) -> str:
    if truth:
        return f"{files} real acquisitions, taken as they are; their truth is known to the report only"
    if recipe is None:
        return f"{files} real micrographs, taken as acquired; their truth is not known"
    named = told.degradation if isinstance(told.degradation, str) else _operators_in_words(recipe)
    return f"{files} real micrographs taken as clean; the microscope degrades them as it acquires ({named})"


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
            f"expected the truth of {path} at {partner}, found nothing; add it or remove the folder truth"
        )
    expected = [tuple(side * task.scale for side in page.pixels.shape) for page in pages]
    found = [page.pixels.shape for page in read_pages(partner)]
    if expected != found:
        raise ScenarioError(
            f"expected pages of {expected} px in {partner}, found {found}; give the truth of {path}"
        )
