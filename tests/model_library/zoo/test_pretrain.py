from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_library.errors import RecipeError, UnknownNetwork
from model_library.images.frame import Grey
from model_library.signing.digests import sha256_file
from model_library.zoo.pretrain import pretrain
from model_library.zoo.recipe import read_recipe
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network, weights_bytes

SEGMENT = {
    "task": 'kind = "segment"\nclasses = ["background", "precipitate"]',
    "network": 'kind = "unet"\nwidths = [4, 6]\nout_channels = 2\nresidual = false',
    "loss": "cross_entropy",
}
MICROGRAPHS = '[[micrographs]]\nfolder = "alloy"\nterms = "MIT"\nbin = 2\n'


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
def micrograph(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "alloy"
    folder.mkdir(parents=True)
    pixels: Grey = np.random.default_rng(0).integers(0, 255, (100, 200)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "one.png")
    return folder / "one.png"


def test_the_same_recipe_gives_the_same_digest(recipe_file: Path, library: Library):
    recipe = read_recipe(recipe_file)
    first, again = (pretrain(recipe, library=library, data=None) for _ in range(2))
    assert weights_bytes(first.module) == weights_bytes(again.module)
    assert first.card == again.card


def test_another_seed_gives_another_digest(recipe_file: Path, library: Library):
    recipe = read_recipe(recipe_file)
    other = recipe.model_copy(update={"fit": recipe.fit.model_copy(update={"seed": 6})})
    first, second = (pretrain(each, library=library, data=None) for each in (recipe, other))
    assert weights_bytes(first.module) != weights_bytes(second.module)


def test_the_card_says_how_the_network_was_made(recipe_file: Path, library: Library):
    card = pretrain(read_recipe(recipe_file), library=library, data=None, provenance="recipe tiny.toml").card
    assert card.recipe.startswith("recipe tiny.toml; torch ")
    assert (card.seed, card.limits) == (5, ("Good for nothing.",))
    (data,) = card.training_data
    assert (data.simulated, data.images, data.digests) == (True, 2, ())


def test_real_micrographs_are_named_by_digest_and_terms(
    write_recipe: Callable[..., Path], library: Library, micrograph: Path
):
    recipe = read_recipe(write_recipe(micrographs=MICROGRAPHS))
    card = pretrain(recipe, library=library, data=micrograph.parents[1]).card
    real = card.training_data[1]
    assert (real.source, real.terms, real.images, real.simulated) == ("alloy", "MIT", 1, False)
    assert real.digests == (sha256_file(micrograph),)


@pytest.mark.parametrize("data", [None, Path("/nonexistent")])
def test_missing_micrographs_are_refused(
    data: Path | None, write_recipe: Callable[..., Path], library: Library
):
    with pytest.raises(RecipeError, match="--data"):
        pretrain(read_recipe(write_recipe(micrographs=MICROGRAPHS)), library=library, data=data)


def test_a_segmenting_network_learns_from_labels(write_recipe: Callable[..., Path], library: Library):
    made = pretrain(
        read_recipe(write_recipe(**SEGMENT, top='label = "precipitate"')), library=library, data=None
    )
    assert len(made.result.losses) == 3


def test_a_label_that_specimens_lack_is_refused(write_recipe: Callable[..., Path], library: Library):
    with pytest.raises(RecipeError, match="'membrane'"):
        pretrain(read_recipe(write_recipe(**SEGMENT, top='label = "membrane"')), library=library, data=None)


def test_a_network_may_start_from_another_and_says_so(
    recipe_file: Path, write_recipe: Callable[..., Path], library: Library
):
    made = pretrain(read_recipe(recipe_file), library=library, data=None)
    save_network(library.folder / "tiny", made.module, made.card)
    fresh = pretrain(read_recipe(recipe_file), library=library, data=None)
    further = pretrain(read_recipe(write_recipe(top='start = "tiny"')), library=library, data=None)
    assert weights_bytes(further.module) != weights_bytes(fresh.module)
    assert further.card.training_data[1].source.endswith("(through tiny 1.0.0)")


def test_starting_from_an_unknown_network_is_refused(write_recipe: Callable[..., Path], library: Library):
    with pytest.raises(UnknownNetwork, match="tiny"):
        pretrain(read_recipe(write_recipe(top='start = "tiny"')), library=library, data=None)


@pytest.mark.parametrize(
    "contradiction",
    [
        {"network": 'kind = "edsr"\nblocks = 1\nwidth = 4\nscale = 2'},
        {"network": 'kind = "unet"\nwidths = [4, 6]\nout_channels = 2\nresidual = false'},
        {"loss": "cross_entropy"},
        {"top": 'label = "precipitate"'},
        SEGMENT,
    ],
)
def test_a_recipe_that_contradicts_itself_is_refused(
    contradiction: dict[str, str], write_recipe: Callable[..., Path]
):
    with pytest.raises(RecipeError, match="correct the recipe"):
        read_recipe(write_recipe(**contradiction))


@pytest.mark.parametrize("text", ["id = ", 'id = "x"\nsurprise = 1'])
def test_a_malformed_recipe_is_refused(text: str, tmp_path: Path):
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(RecipeError, match="expected a recipe"):
        read_recipe(tmp_path / "bad.toml")
