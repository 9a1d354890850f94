"""`synoptic library degradation-fit`: folders in, a recipe out; refusals name file and remedy."""

import json
from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from model_library.degradation.operators import Digitise, GaussianBlur, ReadNoise, ShotNoise
from model_library.degradation.recipe import Recipe
from model_library.degradation.recipe_files import read_recipe_file
from model_library.errors import ImageError, RecipeError, SynopticError
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.specimens import SpecimenKind, render
from model_library.zoo.cli import app

PLANTED = Recipe(
    operators=(
        GaussianBlur(sigma_px=1.0),
        ShotNoise(electrons_per_pixel=20),
        ReadNoise(sigma=0.12),
        Digitise(bits=16, gain=20000, offset=9000),
    )
)


def write(path: Path, frame: Frame) -> None:
    path.write_bytes(encode_acquisition(frame))


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Low-quality images of planted gain and noise, and their clean partners."""
    noisy, clean = tmp_path_factory.mktemp("noisy"), tmp_path_factory.mktemp("clean")
    rng = np.random.default_rng(0)
    for number in range(6):
        intensity = np.rint(255 * render(SpecimenKind.CELLS, (256, 256), rng).intensity).astype(np.uint8)
        counts = PLANTED.apply(intensity / np.float32(255), rng).astype(np.uint16)
        write(noisy / f"field{number}.tif", Frame(counts))
        write(clean / f"field{number}.tif", Frame(intensity))
    return noisy, clean


def run(*arguments: object):
    result = CliRunner().invoke(app, ["degradation-fit", *map(str, arguments)])
    if isinstance(result.exception, SynopticError):
        raise result.exception
    return result


def test_pairs_give_a_recipe_file_and_figures(folders, tmp_path):
    noisy, clean = folders
    out, figures = tmp_path / "sem.toml", tmp_path / "sem.json"
    result = run("--images", noisy, "--clean", clean, "--out", out, "--json", figures)
    assert result.exit_code == 0, result.output
    found = json.loads(figures.read_text())
    assert found["paired"] is True
    assert found["gain_counts_per_electron"] == pytest.approx(1000, rel=0.1)
    assert found["read_sigma_counts"] == pytest.approx(2400, rel=0.1)
    assert found["blur_sigma_px"] == pytest.approx(1.0, rel=0.1)
    assert found["offset_counts"] == pytest.approx(9000, rel=0.02)
    assert read_recipe_file(out) == Recipe.model_validate(found["recipe"])
    assert "[[operators]]" in result.stdout
    assert "field1.tif (2 of 6)" in result.stderr


def test_images_alone_and_a_dark_frame_give_gain_and_noise(folders, tmp_path):
    noisy, _ = folders
    out = tmp_path / "sem.json"
    result = run("--images", noisy, "--offset", 9000, "--out", out)
    assert result.exit_code == 0, result.output
    kinds = [operator.kind for operator in read_recipe_file(out).operators]
    assert kinds == ["shot_noise", "read_noise", "digitise"]
    shot, read, digitise = read_recipe_file(out).operators
    assert digitise.gain / shot.electrons_per_pixel == pytest.approx(1000, rel=0.1)
    assert read.sigma * digitise.gain == pytest.approx(2400, rel=0.1)


def test_refusals_name_file_and_remedy(folders, tmp_path):
    noisy, clean = folders
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(RecipeError, match="empty, found none; name the folder"):
        run("--images", empty)
    with pytest.raises(RecipeError, match="both; leave --offset 3 out"):
        run("--images", noisy, "--clean", clean, "--offset", 3)
    other = tmp_path / "other"
    other.mkdir()
    write(other / "field0.tif", Frame(np.zeros((256, 256), np.uint8)))
    with pytest.raises(RecipeError, match=r"found none for field1\.tif, field2\.tif"):
        run("--images", noisy, "--clean", other)
    with pytest.raises(RecipeError, match="add images"):
        run("--images", other)
    write(other / "field1.tif", Frame(np.zeros((250, 256), np.uint8)))
    for number in range(2, 6):
        write(other / f"field{number}.tif", Frame(np.zeros((256, 256), np.uint8)))
    with pytest.raises(RecipeError, match=r"field1\.tif.*crop"):
        run("--images", noisy, "--clean", other)
    (other / "broken.tif").write_bytes(b"no image")
    with pytest.raises(ImageError, match=r"broken\.tif"):
        run("--images", other)
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    tifffile.imwrite(spoilt / "nan.tif", np.full((400, 400), np.nan, np.float32))
    with pytest.raises(ImageError, match=r"nan\.tif"):
        run("--images", spoilt)


def test_help_shows_an_example():
    assert "degradation-fit --images noisy/" in " ".join(run("--help").output.split())
