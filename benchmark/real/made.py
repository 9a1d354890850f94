"""Networks that do not ship, made from their recipes before they are judged."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model_library.signing.digests import sha256_file
from model_library.zoo.pretraining import Pretraining, run_pretraining
from model_library.zoo.recipe import read_recipe, recipe_path
from model_library.zoo.registry import Library

NETWORKS_FOLDER = "networks"


class JoinedLibrary(Library):
    """Two libraries as one; of networks of one id, that of the second counts."""

    def __init__(self, first: Library, second: Library) -> None:
        super().__init__(first.folder)
        self._first, self._second = first, second

    def ids(self) -> tuple[str, ...]:
        """Ids of the networks of both, sorted."""
        return tuple(sorted({*self._first.ids(), *self._second.ids()}))

    def path(self, network_id: str) -> Path:
        """Folder of a network; raises `UnknownNetwork`."""
        return (self._second if network_id in self._second.ids() else self._first).path(network_id)


@dataclass(frozen=True)
class Making:
    """What is to be made.

    Attributes
    ----------
    recipes
        Ids of recipes that ship, or paths.
    data
        Folder of real micrographs.
    work
        Where networks are made, an interrupted training goes on, and what is made is found again.
    """

    recipes: Sequence[str]
    data: Path
    work: Path


def with_made(library: Library, making: Making, tell: Callable[[str], None]) -> Library:
    """Make the networks that have not been made yet from these very recipes, and join them to a library.

    Raises
    ------
    RecipeError, CheckpointError
        See `run_pretraining`.
    """
    own = Library(making.work / NETWORKS_FOLDER)
    for name in making.recipes:
        path = recipe_path(name)
        network_id = read_recipe(path).id
        if network_id in own.ids() and sha256_file(path) in own.card(network_id).recipe:
            tell(f"{network_id} was made before")
            continue
        tell(f"making {network_id} by its recipe")
        run_pretraining(Pretraining(recipe=path, library=own, data=making.data))
    return JoinedLibrary(library, own)
