"""Training statistics of the networks of a library: made from their recipes, kept beside their cards."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from pydantic import ValidationError

from benchmark.errors import BenchmarkError
from benchmark.trust.likeness import FEATURES, TILE_PX, TrainingStatistics, features, tiles
from model_library.images.durable import write_durably
from model_library.images.frame import Grey

if TYPE_CHECKING:
    from model_library.cards.card import NetworkCard
    from model_library.zoo.recipe import PretrainRecipe

STATISTICS_FILE = "training_statistics.json"
IMAGES = 96
_STREAM = 7
_DIGITS = 4


def training_like(recipe: "PretrainRecipe", data: Path | None, images: int = IMAGES) -> list[Grey]:
    """Draw acquired images as training does, sources in turn; float32 [Y, X] each, in the detector's counts.

    Parameters
    ----------
    recipe
        Of the network.
    data
        Folder of real micrographs, where the recipe names some.
    images
        How many.

    Raises
    ------
    SynopticError
        Micrographs that the recipe names are not there.
    """
    rng = np.random.default_rng([recipe.fit.seed, _STREAM])
    clean = _clean(recipe, data, images, rng)
    drawn = []
    for number in range(images):
        sources = clean[number % len(clean)]
        specimen = sources[int(rng.integers(len(sources)))]
        acquired, _ = recipe.variations.acquire(recipe.variations.restyle(specimen, rng), rng)
        drawn.append(acquired)
    return drawn


def statistics_of(
    card: "NetworkCard", recipe: "PretrainRecipe", data: Path | None, images: int = IMAGES
) -> TrainingStatistics:
    """Measure images like those that a network learned from; raises as `training_like` does."""
    values = []
    for pixels in training_like(recipe, data, images):
        middle = tiles(pixels)
        values.append(tuple(round(float(each), _DIGITS) for each in features(middle[len(middle) // 2])))
    real = ", ".join(
        [*(each.folder for each in recipe.micrographs), *(each.folder for each in recipe.labelled)]
    )
    real = real or (recipe.stack.folder if recipe.stack is not None else "")
    kinds = ", ".join(recipe.specimens.kinds) if recipe.specimens is not None else ""
    source = "; ".join(
        part
        for part in (f"simulated: {kinds}" if kinds else "", f"micrographs: {real}" if real else "")
        if part
    )
    return TrainingStatistics(
        network=card.id,
        weights_sha256=card.weights_sha256,
        source=f"{images} images drawn as the recipe draws them; {source}",
        features=FEATURES,
        values=tuple(values),
    )


def write_statistics(folder: Path, statistics: TrainingStatistics) -> None:
    """Keep statistics beside a network's card."""
    write_durably(folder / STATISTICS_FILE, (statistics.model_dump_json() + "\n").encode())


def read_statistics(folder: Path, weights_sha256: str) -> TrainingStatistics | None:
    """Read the statistics beside a card; None where there are none, or those of other weights.

    Raises
    ------
    BenchmarkError
        The file is damaged.
    """
    try:
        content = (folder / STATISTICS_FILE).read_bytes()
    except OSError:
        return None
    try:
        found = TrainingStatistics.model_validate_json(content)
    except ValidationError as failure:
        raise BenchmarkError(
            f"{folder / STATISTICS_FILE}: expected training statistics, found {failure}; make them anew"
            " (synoptic benchmark training-statistics)"
        ) from failure
    return found if found.weights_sha256 == weights_sha256 else None


def _clean(
    recipe: "PretrainRecipe", data: Path | None, images: int, rng: np.random.Generator
) -> Sequence[Sequence[Grey]]:
    """Clean images in [0, 1] of at least one square's side, one list for each source of the recipe."""
    from model_library.zoo.labelled import labelled_micrographs
    from model_library.zoo.pools import micrographs, simulated, to_unit
    from model_library.zoo.stacks import labelled_stack

    side = TILE_PX * recipe.task.scale
    sources: list[list[Grey]] = []
    if recipe.specimens is not None:
        pool = recipe.specimens.model_copy(update={"images": max(2, images // 2), "side_px": side})
        sources.append([specimen.intensity for specimen in simulated(pool, rng)])
    for source in recipe.micrographs:
        squares, _ = micrographs((source,), data, side)
        sources.append(list(squares))
    for labelled in recipe.labelled:
        found = labelled_micrographs(labelled, recipe.label or "", data, held_out=False)
        sources.append([_square(to_unit(each.pixels), side, rng) for each in found])
    if recipe.stack is not None:
        stack = labelled_stack(recipe.stack, data, held_out=False)
        sources.append([_square(to_unit(each), side, rng) for each in stack.pixels[::4]])
    return sources


def _square(image: Grey, side: int, rng: np.random.Generator) -> Grey:
    height, width = (min(side, length) for length in image.shape)
    top = int(rng.integers(0, image.shape[0] - height + 1))
    left = int(rng.integers(0, image.shape[1] - width + 1))
    return image[top : top + height, left : left + width]
