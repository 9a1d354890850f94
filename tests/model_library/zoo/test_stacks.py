"""Slices of a stack that people divided into cells: membranes, splits, neighbours."""

from pathlib import Path

import numpy as np
import pytest
import tifffile

from model_library.errors import RecipeError
from model_library.networks.channels import neighbouring_slices
from model_library.signing.digests import sha256_bytes
from model_library.training.variations import Variations
from model_library.zoo.pretrain import pretrain
from model_library.zoo.recipe import StackSource, read_recipe, recipe_path
from model_library.zoo.registry import Library
from model_library.zoo.stacks import labelled_stack, membrane, slice_pairs, stack_data


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "tissue"
    folder.mkdir()
    cells = np.zeros((12, 40, 48), dtype=np.uint16)
    cells[:, :, :20], cells[:, :, 20:], cells[6:, :15] = 1, 2, 3
    grey = np.random.default_rng(0).integers(90, 160, cells.shape).astype(np.uint8)
    tifffile.imwrite(folder / "raw.tif", grey, photometric="minisblack")
    tifffile.imwrite(folder / "cells.tif", cells, photometric="minisblack")
    return tmp_path


def source(**changes: object) -> StackSource:
    return StackSource(
        **{
            "folder": "tissue", "image": "raw.tif", "labels": "cells.tif", "slices": (0, 4),
            "held_out": (7, 11), "terms": "CC BY, somebody", **changes,
        }
    )  # fmt: skip


@pytest.mark.parametrize("width_px", [2, 4, 6])
def test_a_membrane_runs_where_cells_meet_as_wide_as_asked_for(width_px: int):
    cells = np.ones((20, 30), dtype=np.uint16)
    cells[:, 15:] = 2
    line = membrane(cells, width_px)
    assert line.sum(axis=1).tolist() == [width_px] * 20
    assert line[:, 15 - width_px // 2 : 15 + width_px // 2].all()


def test_slices_are_parted_and_named_by_their_pixels(data: Path):
    seen, kept = (labelled_stack(source(), data, held_out=side) for side in (False, True))
    assert (seen.first, len(seen.pixels), kept.first, len(kept.pixels)) == (0, 5, 7, 5)
    assert not set(seen.digests) & set(kept.digests)
    assert seen.digests[0] == sha256_bytes(seen.pixels[0].astype(np.uint8).tobytes())
    said = stack_data(source(), seen)
    assert (said.images, said.digests, said.terms) == (5, seen.digests, "CC BY, somebody")
    assert "slices 0 to 4" in said.source


@pytest.mark.parametrize("parts", [((0, 7), (7, 11)), ((8, 11), (0, 9)), ((5, 2), (7, 11))])
def test_slices_for_training_and_scoring_must_not_meet(parts: tuple[tuple[int, int], tuple[int, int]]):
    with pytest.raises(RecipeError, match="part them"):
        source(slices=parts[0], held_out=parts[1])


def test_a_stack_that_is_missing_or_too_short_is_refused(data: Path):
    with pytest.raises(RecipeError, match="12 and 12"):
        labelled_stack(source(held_out=(7, 30)), data, held_out=True)
    for where in (None, data / "nowhere"):
        with pytest.raises(RecipeError, match="--data"):
            labelled_stack(source(), where, held_out=False)


def test_pairs_hold_the_neighbours_of_the_slice_whose_classes_they_give(data: Path):
    stack = labelled_stack(source(slices=(0, 6)), data, held_out=False)
    still = Variations(gamma=(1, 1), contrast=(1, 1), inverted_share=0)
    pairs = slice_pairs(stack, range(7), 3, still)
    inputs, classes = pairs.batch(6, 32, np.random.default_rng(1))
    assert inputs.shape == (6, 3, 32, 32)
    assert classes.shape == (6, 1, 32, 32)
    assert set(np.unique(classes.numpy())) <= {0.0, 1.0}
    again, _ = pairs.batch(6, 32, np.random.default_rng(1))
    assert np.array_equal(inputs.numpy(), again.numpy())
    assert not np.array_equal(inputs[:, 0].numpy(), inputs[:, 2].numpy())
    assert np.array_equal(neighbouring_slices(pairs.stack, 0, 3)[0], pairs.stack[0])


def test_a_network_of_slices_is_trained_from_its_recipe(data: Path, tmp_path: Path):
    recipe = read_recipe(recipe_path("unet-segment-membranes-stack"))
    small = recipe.model_copy(
        update={
            "stack": source(),
            "network": recipe.network.model_copy(update={"widths": (4, 6)}),
            "fit": recipe.fit.model_copy(update={"steps": 2, "batch": 2, "patch_px": 16}),
        }
    )
    made = pretrain(small, library=Library(tmp_path / "library"), data=data)
    assert len(made.result.losses) == 2
    assert [item.images for item in made.card.training_data] == [5]
    assert made.card.pixel_size_nm == (9.0, 11.0)


def test_a_stack_needs_a_network_of_slices(tmp_path: Path):
    text = recipe_path("unet-segment-membranes-stack").read_text()
    path = tmp_path / "grey.toml"
    path.write_text(text.replace('in_channels = 5\nchannels = "slices"\n', ""))
    with pytest.raises(RecipeError, match="neighbouring slices"):
        read_recipe(path)
