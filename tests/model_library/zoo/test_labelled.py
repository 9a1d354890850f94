"""Real micrographs with labels: where labels are found, how specimens are parted, what is refused."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from model_library.errors import RecipeError
from model_library.signing.digests import sha256_file
from model_library.zoo.labelled import class_image, labelled_micrographs, squares, training_data
from model_library.zoo.recipe import LabelledSource, read_recipe, recipe_path, recipes_folder

CVAT = """<annotations><version>1.1</version>
<image id="0" name="a1.png" width="60" height="40">
  <polygon label="grain" points="2,2;20,2;20,20;2,20"/><polygon label="grain" points="20,2;40,2;40,20;20,20"/>
  <polygon label="dust" points="45,30;55,30;55,38;45,38"/>
</image>
<image id="1" name="b1.png" width="60" height="40"/></annotations>"""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two specimens, a with two images and b with one, and labels 0 / 3 / 7 that mark a square."""
    folder = tmp_path / "stack"
    (folder / "labels").mkdir(parents=True)
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    for name in ("a1", "a2", "b1"):
        Image.fromarray(rng.integers(0, 255, (40, 60)).astype(np.uint8)).save(folder / f"images/{name}.png")
        labels = np.zeros((40, 60), dtype=np.uint8)
        labels[10:30, 10:30], labels[0:4, 50:60] = 7, 3
        Image.fromarray(labels).save(folder / f"labels/{name}.png")
    (folder / "annotations.xml").write_text(CVAT)
    return tmp_path


def source(**changes: object) -> LabelledSource:
    return LabelledSource(
        **{
            "folder": "stack",
            "images": "images/*.png",
            "labels": "labels/{stem}.png",
            "values": (7, 7),
            "specimen": r"[ab](?=\d)",
            "held_out": ("b",),
            "terms": "MIT",
            "side_px": 32,
            **changes,
        }
    )


def test_specimens_are_parted_and_none_is_on_both_sides(data: Path):
    seen = labelled_micrographs(source(), "grain", data, held_out=False)
    kept = labelled_micrographs(source(), "grain", data, held_out=True)
    assert [image.path.stem for image in seen] == ["a1", "a2"]
    assert [image.path.stem for image in kept] == ["b1"]


def test_only_the_named_values_are_the_structure(data: Path):
    image = labelled_micrographs(source(), "grain", data, held_out=True)[0]
    assert image.mask.sum() == 400
    wider = labelled_micrographs(source(values=(1, 255)), "grain", data, held_out=True)[0]
    assert wider.mask.sum() == 440


def test_labels_are_binned_by_majority(data: Path):
    image = labelled_micrographs(source(bin=2), "grain", data, held_out=True)[0]
    assert image.pixels.shape == image.mask.shape == (20, 30)
    assert np.array_equal(np.argwhere(image.mask).min(axis=0), (5, 5))
    assert image.mask.sum() == 100


def test_polygons_are_objects_and_other_labels_are_left_out(data: Path):
    image = labelled_micrographs(
        source(labels="annotations.xml", images="images/a1.png", held_out=("b",)),
        "grain",
        data,
        held_out=False,
    )[0]
    assert image.instances is not None
    assert image.instances.max() == 2
    assert np.array_equal(image.instances[0] > 0, image.mask)
    classes = image.classes(border_px=2)
    assert (classes[5, 10], classes[5, 20], classes[5, 30], classes[30, 50]) == (1, 2, 1, 0)


def test_an_image_that_nobody_annotated_is_refused(data: Path):
    with pytest.raises(RecipeError, match="nobody annotated it"):
        labelled_micrographs(source(labels="annotations.xml"), "grain", data, held_out=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"images": "images/*.tif"}, "--data"),
        ({"specimen": "rat"}, "expected a specimen like rat"),
        ({"held_out": ("c",)}, "never sees"),
        ({"labels": "labels/{stem}.tif"}, "found no file"),
        ({"labels": "nothing.xml"}, "expected annotations"),
    ],
)
def test_what_does_not_fit_is_refused(data: Path, changes: dict[str, object], message: str):
    with pytest.raises(RecipeError, match=message):
        labelled_micrographs(source(**changes), "grain", data, held_out=True)


def test_labels_of_another_size_are_refused(data: Path):
    Image.fromarray(np.zeros((8, 8), dtype=np.uint8)).save(data / "stack/labels/b1.png")
    with pytest.raises(RecipeError, match="its own size"):
        labelled_micrographs(source(), "grain", data, held_out=True)


def test_terms_that_forbid_shipping_are_refused():
    for terms in ("NC (challenge terms)", "GPL-3.0", "research/non-profit (UCSD)", ""):
        with pytest.raises(ValueError, match="terms"):
            source(terms=terms)
    assert source(terms="CC BY, Takemura et al. 2015").terms.startswith("CC BY")


def test_squares_cover_the_image_and_part_by_what_they_hold(data: Path):
    image = labelled_micrographs(source(), "grain", data, held_out=True)[0]
    some, none = squares(image, 16, None)
    assert len(some) + len(none) == 3 * 4
    assert all(pixels.shape == classes.shape == (16, 16) for pixels, classes in some + none)
    assert all(classes.any() for _, classes in some)
    assert not any(classes.any() for _, classes in none)


def test_a_rim_needs_objects(data: Path):
    image = labelled_micrographs(source(), "grain", data, held_out=True)[0]
    with pytest.raises(RecipeError, match="told apart"):
        class_image(image.mask, None, 2)


def test_the_card_names_specimens_terms_and_files(data: Path):
    images = labelled_micrographs(source(), "grain", data, held_out=False)
    said = training_data(source(), images)
    assert (said.source, said.terms, said.images) == ("stack, labelled, specimens a", "MIT", 2)
    assert said.digests == tuple(sha256_file(image.path) for image in images)


@pytest.mark.parametrize(
    "network_id",
    sorted(path.stem for path in recipes_folder().glob("*.toml") if "[[labelled]]" in path.read_text()),
)
def test_every_labelled_source_that_ships_is_found_and_holds_specimens_out(
    network_id: str, shared_data: Path
):
    recipe = read_recipe(recipe_path(network_id))
    for each in recipe.labelled[:1]:
        seen, kept = (
            labelled_micrographs(each, recipe.label or "", shared_data, held_out=side)
            for side in (False, True)
        )
        assert {image.specimen for image in kept} == set(each.held_out)
        assert not {image.specimen for image in seen} & set(each.held_out)
        assert all(0 < image.mask.mean() < 0.9 for image in (*seen, *kept))
