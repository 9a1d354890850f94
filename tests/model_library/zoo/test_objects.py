"""What a recipe of a network that finds instances learns from, and that it becomes a network of a library."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_library.errors import RecipeError
from model_library.networks.config import MaskRCNNConfig
from model_library.signing.digests import sha256_file
from model_library.training.objectives import InstanceObjective
from model_library.zoo.lesson import lesson_of
from model_library.zoo.objects import object_pool
from model_library.zoo.pretraining import Pretraining, run_pretraining
from model_library.zoo.recipe import PretrainRecipe, read_recipe, recipe_path
from model_library.zoo.registry import Library

CVAT = """<annotations><version>1.1</version><image id="0" name="a.png" width="96" height="64">
  <polygon label="grain" points="2,2;20,2;20,20;2,20"/><polygon label="grain" points="20,2;40,2;40,20;20,20"/>
  <polygon label="grain" points="60,30;90,30;90,60;60,60"/></image>
  <image id="1" name="b.png" width="96" height="64"><polygon label="grain" points="2,2;9,2;9,9;2,9"/></image>
</annotations>"""

RECIPE = """
id = "grains"
purpose = "Find grains."
label = "grain"
limits = ["Good for nothing."]
{specimens}
[task]
kind = "segment"
classes = ["background", "grain"]
[network]
kind = "mask_rcnn"
width = 8
anchors_px = [4, 8, 16, 32]
proposals = 16
sampled = 8
detections = 8
[[labelled]]
folder = "grains"
images = "*.png"
labels = "{labels}"
specimen = "[ab](?=.png)"
held_out = ["b"]
terms = "MIT"
side_px = 48
[variations]
read_sigma = [0.01, 0.02]
[fit]
steps = 2
batch = 1
patch_px = 32
loss = "cross_entropy"
"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "grains"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        Image.fromarray(rng.integers(0, 255, (64, 96)).astype(np.uint8)).save(folder / f"{name}.png")
    (folder / "marks.xml").write_text(CVAT)
    return tmp_path / "data"


def recipe_file(folder: Path, labels: str = "marks.xml", specimens: str = "") -> Path:
    path = folder / "grains.toml"
    path.write_text(RECIPE.format(labels=labels, specimens=specimens))
    return path


def recipe(folder: Path, **changes: str) -> PretrainRecipe:
    return read_recipe(recipe_file(folder, **changes))


def test_every_square_has_the_objects_that_lie_in_it(data: Path):
    pool = object_pool(recipe(data), data)
    assert [(pixels.shape, objects.shape) for pixels, objects in pool.squares] == 4 * [
        ((48, 48), (1, 48, 48))
    ]
    assert [len(np.unique(objects[objects > 0])) for _, objects in pool.squares] == [2, 1, 2, 1]
    (seen,) = pool.seen
    assert seen.digests == (sha256_file(data / "grains/a.png"),)


def test_simulated_specimens_bring_objects_of_their_own(data: Path):
    specimens = '[specimens]\nkinds = ["particles"]\nimages = 4\nside_px = 64\nzoom = [0.3, 0.4]'
    particles = recipe(data, specimens=specimens).model_copy(update={"labelled": (), "label": "particle"})
    pool = object_pool(particles, None)
    assert [pixels.shape for pixels, _ in pool.squares] == 4 * [(64, 64)]
    assert sum(objects.any() for _, objects in pool.squares) >= 2
    assert pool.seen[0].simulated


def test_masks_that_tell_no_objects_apart_are_refused(data: Path):
    Image.fromarray(np.full((64, 96), 9, np.uint8)).save(data / "grains/a.mask.tif")
    with pytest.raises(RecipeError, match="told apart"):
        object_pool(recipe(data, labels="{stem}.mask.tif"), data)


def test_the_lesson_changes_with_the_labels(data: Path):
    before = lesson_of(recipe(data), data)
    assert isinstance(before.objective, InstanceObjective)
    path = data / "grains" / "marks.xml"
    path.write_text(path.read_text().replace("60,30;90,30", "61,30;90,30"))
    assert lesson_of(recipe(data), data).sha256 != before.sha256


def test_a_network_that_finds_instances_is_made_by_its_recipe(data: Path, tmp_path: Path):
    library = Library(tmp_path / "library")
    card = run_pretraining(Pretraining(recipe=recipe_file(tmp_path), library=library, data=data))
    assert card is not None
    assert isinstance(card.config, MaskRCNNConfig)
    assert library.verify("grains") == card
    assert not card.facts.exact_tiling


def test_the_recipe_of_powder_keeps_the_images_that_it_is_scored_on(shared_data: Path):
    ours, rival = (read_recipe(recipe_path(name)) for name in ("mask-rcnn-powder", "unet-segment-powder"))
    assert {source.held_out for source in ours.labelled} == {source.held_out for source in rival.labelled}
    real_alone = ours.model_copy(update={"specimens": None})
    seen = {digest for data in object_pool(real_alone, shared_data).seen for digest in data.digests}
    folder = shared_data / ours.labelled[0].folder / "images"
    assert seen == {sha256_file(path) for path in folder.glob("Sc1Tile_001-00[12]*.png")}
