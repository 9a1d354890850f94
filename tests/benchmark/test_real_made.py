"""Networks that do not ship take part once they are made, and are made once."""

import pytest
from typer.testing import CliRunner

from benchmark import assessment
from benchmark.cli import app
from benchmark.errors import BenchmarkError
from benchmark.real import command, made
from benchmark.real.made import JoinedLibrary, Making, with_made

RECIPE = """
id = "made-here"
purpose = "Show that a network can be made first."
limits = ["Good for nothing."]
[task]
kind = "denoise"
[network]
kind = "unet"
widths = [4, 6]
[specimens]
kinds = ["precipitates"]
images = 2
side_px = 48
[variations]
read_sigma = [0.05, 0.1]
[fit]
steps = 2
batch = 2
patch_px = 16
"""


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "made-here.toml"
    path.write_text(RECIPE)
    return path


def test_a_network_is_made_once_and_again_when_its_recipe_changes(
    recipe, tmp_path, small_library, monkeypatch
):
    making, told, trained = Making((str(recipe),), tmp_path, tmp_path / "work"), [], []
    genuine = made.run_pretraining
    monkeypatch.setattr(made, "run_pretraining", lambda wanted: trained.append(1) or genuine(wanted))
    for _ in range(2):
        library = with_made(small_library(), making, told.append)
        assert library.ids() == ("made-here", "small")
    assert len(trained) == 1
    assert "made before" in told[-1]
    recipe.write_text(RECIPE.replace("steps = 2", "steps = 3"))
    before = library.card("made-here").weights_sha256
    assert with_made(small_library(), making, told.append).card("made-here").weights_sha256 != before


def test_of_two_libraries_the_second_counts(small_library, tmp_path):
    small_library("shared", seed=1)
    first = small_library("only-here")
    second = type(first)(tmp_path / "second")
    (second.folder).mkdir()
    (first.folder / "shared").rename(second.folder / "shared")
    small_library("shared", seed=2)
    both = JoinedLibrary(first, second)
    assert both.ids() == ("only-here", "shared")
    assert both.card("shared") == second.card("shared") != first.card("shared")
    assert both.load("only-here").card == first.card("only-here")


def test_the_suite_judges_what_it_made(recipe, superalloy, noise_case, small_library, tmp_path, monkeypatch):
    monkeypatch.setattr(command, "CASES", (noise_case,))
    genuine = assessment.classical_methods
    monkeypatch.setattr(assessment, "classical_methods", lambda task: genuine(task)[:1])
    asked = ["run", "--suite", "real", "--data", superalloy, "--library", small_library().folder]
    asked += ["--make", recipe, "--networks", "made-here"]
    with pytest.raises(BenchmarkError, match="--work"):
        CliRunner().invoke(app, list(map(str, asked)), catch_exceptions=False)
    done = CliRunner().invoke(
        app, list(map(str, [*asked, "--work", tmp_path / "work"])), catch_exceptions=False
    )
    assert done.exit_code == 0
    assert "made-here@1.0.0" in done.output
    assert "small@1.0.0" not in done.output
