import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from model_library.errors import LibraryError, RecipeError, UnknownNetwork
from model_library.zoo.cli import app

RUN = CliRunner()


@pytest.fixture
def library(recipe_file: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "library"
    result = RUN.invoke(app, ["pretrain", str(recipe_file), "--out", str(folder), "--json"])
    assert result.exit_code == 0, result.output
    return folder


def test_pretrain_writes_a_network_that_list_show_and_verify_know(library: Path):
    (row,) = json.loads(RUN.invoke(app, ["list", "--folder", str(library), "--json"]).stdout)
    assert row["id"] == "tiny"
    assert row["task"] == {"kind": "denoise"}
    wanted = {"architecture", "parameters", "receptive_field_px", "flops_per_pixel", "exact_tiling"}
    assert wanted | {"modality", "pixel_size_nm", "licence", "scores"} <= row.keys()
    table = RUN.invoke(app, ["list", "--folder", str(library)]).stdout
    assert "tiny" in table
    assert f"{row['receptive_field_px']}" in table
    assert "Good for nothing." in RUN.invoke(app, ["show", "tiny", "--folder", str(library)]).stdout
    card = json.loads(RUN.invoke(app, ["show", "tiny", "--folder", str(library), "--json"]).stdout)
    assert card["seed"] == 5
    assert RUN.invoke(app, ["verify", "tiny", "--folder", str(library)]).exit_code == 0


def test_verify_ends_with_exit_code_1_on_a_flipped_byte(library: Path):
    weights = library / "tiny" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    result = RUN.invoke(app, ["verify", "--all", "--folder", str(library), "--json"])
    assert result.exit_code == 1
    (verdict,) = json.loads(result.stdout)
    assert not verdict["verified"]
    assert "expected SHA-256" in verdict["reason"]
    assert "expected SHA-256" in RUN.invoke(app, ["verify", "tiny", "--folder", str(library)]).stdout


def test_verify_without_a_name_is_wrong_usage(library: Path):
    assert RUN.invoke(app, ["verify", "--folder", str(library)]).exit_code == 2


def test_unknown_names_are_refused(library: Path):
    shown = RUN.invoke(app, ["show", "nothing", "--folder", str(library)])
    assert isinstance(shown.exception, UnknownNetwork)
    assert isinstance(RUN.invoke(app, ["pretrain", "nothing"]).exception, RecipeError)


@pytest.mark.parametrize(
    "command", ["list", "show", "verify", "pretrain", "export", "import", "add", "remove"]
)
def test_every_command_has_help_with_an_example(command: str):
    result = RUN.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Example: synoptic library" in result.stdout


def test_a_new_library_may_start_from_a_network_that_ships(write_recipe: Callable[..., Path], tmp_path: Path):
    recipe = write_recipe(
        top='start = "unet-denoise-shot"', network='kind = "unet"\nwidths = [16, 32, 64, 128]'
    )
    result = RUN.invoke(app, ["pretrain", str(recipe), "--out", str(tmp_path / "new"), "--json"])
    assert result.exit_code == 0, result.output
    sources = [data["source"] for data in json.loads(result.stdout)["training_data"]]
    assert any("through unet-denoise-shot" in source for source in sources)


def test_a_network_travels_by_package_and_by_folder(library: Path, tmp_path: Path):
    package, mine, copy = tmp_path / "tiny.zip", tmp_path / "mine", tmp_path / "copy"
    exported = RUN.invoke(app, ["export", "tiny", "--folder", str(library), "--out", str(package)])
    assert exported.exit_code == 0, exported.output
    taken = RUN.invoke(app, ["import", str(package), "--id", "guest", "--folder", str(mine), "--json"])
    assert json.loads(taken.stdout)["id"] == "guest"
    added = RUN.invoke(app, ["add", str(mine / "guest"), "--folder", str(copy)])
    assert added.stdout.startswith("guest 1.0.0 ")
    assert RUN.invoke(app, ["verify", "--all", "--folder", str(copy)]).exit_code == 0
    removed = RUN.invoke(app, ["remove", "guest", "--folder", str(copy)])
    assert removed.stdout == "guest removed\n"
    assert json.loads(RUN.invoke(app, ["list", "--folder", str(copy), "--json"]).stdout) == []


def test_the_library_that_ships_is_not_changed(library: Path):
    for command in (["add", str(library / "tiny")], ["remove", "unet-denoise-shot"]):
        assert isinstance(RUN.invoke(app, command).exception, LibraryError)
