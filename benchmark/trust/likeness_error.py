"""How well likeness parts images like those that a network learned from, drawn anew, from others.

`python -m benchmark.trust.likeness_error unet-denoise-sem --others DIR --others DIR --data DATA --json FILE`
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmark.errors import BenchmarkError
from benchmark.micrographs import read_folder
from benchmark.trust.learned_from import read_statistics, training_like
from benchmark.trust.likeness import distances
from model_library.wire.base import Message

if TYPE_CHECKING:
    from model_library.zoo.registry import Library

_IMAGES = 60
_MOST_OF_A_FOLDER = 12
_OTHER_SEED = 9000
"""Added to the recipe's own: none of the images that the statistics were made of is drawn again."""


class Parted(Message):
    """Other images against those that a network learned from; `source` is a folder, or all of them together.

    `area` is that under the ROC curve: how often an image of the folder is farther from the training data
    than one drawn like them. 0.5 where the folder is not told from them.
    """

    network: str
    source: str
    images: int
    area: float


def parted(network: str, others: Sequence[Path], data: Path | None, library: "Library") -> list[Parted]:
    """Measure one network on several folders of images.

    Raises
    ------
    BenchmarkError
        There are no training statistics beside its card.
    SynopticError
        Micrographs that its recipe names are not there, or a folder holds no image.
    """
    from model_library.zoo.recipe import read_recipe, recipe_path

    statistics = read_statistics(library.path(network), library.card(network).weights_sha256)
    if statistics is None:
        raise BenchmarkError(
            f"expected training statistics beside {network}, found none; make them"
            f" (synoptic benchmark training-statistics {network} --write)"
        )
    recipe = read_recipe(recipe_path(network))
    anew = recipe.fit.model_copy(update={"seed": recipe.fit.seed + _OTHER_SEED})
    inside = distances(statistics, training_like(recipe.model_copy(update={"fit": anew}), data, _IMAGES))
    outside = {
        str(folder): distances(
            statistics, [each.pixels for each in read_folder(folder).images[:_MOST_OF_A_FOLDER]]
        )
        for folder in others
    }
    outside["all"] = np.concatenate(list(outside.values()))
    return [
        Parted(network=network, source=source, images=len(found), area=area_under_roc(inside, found))
        for source, found in outside.items()
    ]


def area_under_roc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """Tell how often a distance outside is the larger one; ties count half (Mann and Whitney 1947)."""
    larger, equal = outside[:, None] > inside, outside[:, None] == inside
    return float(larger.mean() + equal.mean() / 2)


def main(
    networks: Annotated[list[str], typer.Argument(metavar="ID...", help="Networks with a recipe.")],
    others: Annotated[list[Path], typer.Option(help="Folder of images of another kind; may be repeated.")],
    data: Annotated[Path | None, typer.Option(help="Real micrographs, where recipes name some.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure to this file.")] = None,
) -> None:
    """Measure how well the likeness parts images, by folder and over all."""
    import json

    from model_library.zoo.registry import Library

    found = [row for network in networks for row in parted(network, others, data, Library())]
    for row in found:
        typer.echo(f"{row.network:32} {row.area:5.2f}  {row.images:3} images of {row.source}")
    if json_file is not None:
        json_file.write_text(json.dumps([row.model_dump(mode="json") for row in found], indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
