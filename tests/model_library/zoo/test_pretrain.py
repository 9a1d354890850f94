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


RIMS = {
    "task": 'kind = "segment"\nclasses = ["background", "particle", "rim"]',
    "network": 'kind = "unet"\nwidths = [4, 6]\nout_channels = 3\nresidual = false',
    "loss": "cross_entropy",
}
LABELLED = """[[labelled]]
folder = "alloy"
images = "*_grey.png"
labels = "{stem}_mask.png"
specimen = "s[0-9]"
held_out = ["s2"]
terms = "MIT"
side_px = 32
"""


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "alloy"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("s1_a", "s1_b", "s2_a"):
        mask = np.zeros((64, 64), dtype=np.uint8)
        mask[20:40, 20:40] = 1
        grey = (100 + 80 * mask + rng.normal(0, 5, mask.shape)).astype(np.uint8)
        Image.fromarray(grey).save(folder / f"{name}_grey.png")
        Image.fromarray(mask).save(folder / f"{name}_grey_mask.png")
    return folder


def test_labelled_micrographs_of_specimens_that_are_not_held_out_are_learned_from(
    write_recipe: Callable[..., Path], library: Library, labelled: Path
):
    recipe = read_recipe(write_recipe(**SEGMENT, top='label = "precipitate"', micrographs=LABELLED))
    made = pretrain(recipe, library=library, data=labelled.parent)
    drawn, real = made.card.training_data
    assert (drawn.simulated, real.simulated) == (True, False)
    assert real.source == "alloy, labelled, specimens s1"
    assert real.digests == tuple(sha256_file(labelled / f"{name}_grey.png") for name in ("s1_a", "s1_b"))


def test_a_recipe_may_do_without_specimens_but_not_without_anything(
    write_recipe: Callable[..., Path], library: Library, labelled: Path
):
    path = write_recipe(**SEGMENT, top='label = "precipitate"', micrographs=LABELLED)
    text = path.read_text()
    start, end = text.index("[specimens]"), text.index("[[labelled]]")
    path.write_text(text[:start] + text[end:])
    made = pretrain(read_recipe(path), library=library, data=labelled.parent)
    assert [item.simulated for item in made.card.training_data] == [False]
    path.write_text(text[:start] + text[text.index("[variations]") :])
    with pytest.raises(RecipeError, match="found neither"):
        read_recipe(path)


def test_rims_of_simulated_objects_are_a_class_of_their_own(
    write_recipe: Callable[..., Path], library: Library
):
    top = 'label = "particle"\nborder_px = 2'
    path = write_recipe(**RIMS, top=top)
    path.write_text(path.read_text().replace('"precipitates"', '"particles"'))
    assert len(pretrain(read_recipe(path), library=library, data=None).result.losses) == 3
    path.write_text(path.read_text().replace("border_px = 2\n", ""))
    with pytest.raises(RecipeError, match="three with border_px"):
        read_recipe(path)


def test_rims_of_a_structure_without_objects_are_refused(write_recipe: Callable[..., Path], library: Library):
    path = write_recipe(**RIMS, top='label = "precipitate"\nborder_px = 2')
    with pytest.raises(RecipeError, match="told apart"):
        pretrain(read_recipe(path), library=library, data=None)
