"""`synoptic benchmark`: folders of micrographs into scores, tables and pages."""

import json

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from benchmark import assessment
from benchmark.assessment import assess
from benchmark.baselines import classical_methods
from benchmark.baselines.denoise import GAUSSIAN, MEDIAN
from benchmark.baselines.threshold import OTSU
from benchmark.card_scores import measure
from benchmark.cases import Case, Instances, Labels, Truth
from benchmark.cli import app
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.micrographs import Degrading, cases_of, read_folder, split_cases
from benchmark.rims import Grown, object_rows
from benchmark.slices import InStack, slice_cases
from benchmark.suite import HELD_OUT_SEED_OFFSET, scored_cases, tuning_cases
from model_library.cards.card import NetworkCard
from model_library.images.frame import Frame
from model_library.images.intensity import Scaling
from model_library.images.writers import encode_acquisition
from model_library.inference.stacks import segment_stack
from model_library.inference.weights import LoadedNetwork
from model_library.measurement.borders import bordered
from model_library.networks.config import UNetConfig
from model_library.networks.facts import facts
from model_library.wire.tasks import Segment
from model_library.zoo.exchange.export import export_package
from model_library.zoo.recipe import read_recipe, recipe_path
from model_library.zoo.registry import Library
from model_library.zoo.stacks import LabelledStack

FIELDS = 7


def clean(seed, side=96):
    rng = np.random.default_rng(seed)
    blobs = ndimage.gaussian_filter(rng.standard_normal((side, side)), 5, mode="wrap")
    return (2000 + 1500 * (blobs > 0) + 8000 * blobs).astype(np.float32)


@pytest.fixture
def micrographs(tmp_path):
    """A folder of clean images, one of noisy ones of the same names."""
    for name, sigma in (("truth", 0.0), ("noisy", 300.0)):
        (tmp_path / name).mkdir()
        for seed in range(FIELDS):
            noise = np.random.default_rng([seed, 9]).normal(0, sigma, (96, 96))
            pixels = np.clip(clean(seed) + noise, 0, 65535).astype(np.uint16)
            frame = Frame(pixels, pixel_size_nm=4.0, field=f"P{seed}")
            (tmp_path / name / f"im{seed}.tif").write_bytes(encode_acquisition(frame))
    return tmp_path


@pytest.fixture
def two_rivals(monkeypatch):
    monkeypatch.setattr(assessment, "classical_methods", lambda task: classical_methods(task)[:2])


def run(*arguments, folder):
    (folder / "library").mkdir(exist_ok=True)
    common = ["--library", str(folder / "library"), "--crop-px", "80", "--json", str(folder / "out.json")]
    done = CliRunner().invoke(app, ["run", *map(str, arguments), *common], catch_exceptions=False)
    return done, json.loads((folder / "out.json").read_text()) if done.exit_code == 0 else None


@pytest.mark.parametrize(
    ("arguments", "mode", "metric"),
    [
        (["--images", "noisy", "--truth", "truth"], "truth", "psnr"),
        (["--images", "truth", "--noise-sigma", "0.1"], "added_noise", "psnr"),
        (["--images", "noisy"], "repeat", "psnr_repeat"),
        (["--images", "truth", "--noise-sigma", "0.05", "--task", "super-resolve-x2"], "added_noise", "psnr"),
    ],
)
def test_run_gives_one_row_per_method_and_metric(two_rivals, micrographs, arguments, mode, metric):
    placed = [str(micrographs / word) if word in {"noisy", "truth"} else word for word in arguments]
    done, found = run(*placed, "--report", micrographs / "page.html", folder=micrographs)
    assert done.exit_code == 0
    assert found["mode"] == mode
    assert found["rows"][0]["metric"] == metric
    assert len({(row["method"], row["metric"]) for row in found["rows"]}) == len(found["rows"])
    for row in found["rows"]:
        assert row["ci95"][0] <= row["value"] <= row["ci95"][1]
        assert row["n"] == len(found["scored_fields"]) == 4
    assert not set(found["tuning_fields"]) & set(found["scored_fields"])
    assert "data:image/png;base64," in (micrographs / "page.html").read_text()


def test_the_seed_decides_every_figure(two_rivals, micrographs):
    def values(seed):
        found = run("--images", micrographs / "noisy", "--seed", seed, folder=micrographs)[1]
        return [(row["method"], row["value"], row["ci95"]) for row in found["rows"]]

    assert values(1) == values(1)
    assert values(1) != values(2)


def test_files_that_are_no_images_are_left_out_and_named(two_rivals, micrographs):
    (micrographs / "noisy" / "notes.tif").write_text("not an image")
    done, found = run("--images", micrographs / "noisy", folder=micrographs)
    assert list(found["refused"]) == ["notes.tif"]
    assert "left out notes.tif" in done.output


def test_images_that_show_nothing_and_folders_named_like_images_are_no_images(micrographs):
    folder = micrographs / "noisy"
    for name, pixels in (("flat", np.full((96, 96), 7)), ("tiny", np.arange(400).reshape(20, 20))):
        (folder / f"{name}.tif").write_bytes(encode_acquisition(Frame(pixels.astype(np.uint16))))
    (folder / "series.tif").mkdir()
    found = read_folder(folder)
    assert [image.name for image in found.images] == [f"im{number}" for number in range(FIELDS)]
    assert "one grey value, 7, everywhere" in found.refused["flat.tif"]
    assert "found 20 x 20" in found.refused["tiny.tif"]
    assert len(found.refused) == 2


def test_scores_without_truth_are_doubted_where_the_noise_is_no_detectors(two_rivals, micrographs):
    (micrographs / "smooth").mkdir()
    for seed in range(FIELDS):
        noise = np.random.default_rng([seed, 9]).normal(0, 3000, (96, 96))
        pixels = np.clip(ndimage.gaussian_filter(clean(seed) + noise, 1.0), 0, 65535).astype(np.uint16)
        frame = Frame(pixels, field=f"P{seed}")
        (micrographs / "smooth" / f"im{seed}.tif").write_bytes(encode_acquisition(frame))
    page = micrographs / "page.html"
    done, found = run("--images", micrographs / "smooth", "--report", page, folder=micrographs)
    assert "other noise than a detector" in found["doubt"]
    assert found["doubt"] in done.output
    assert "not to be relied on" in page.read_text()
    done, found = run("--images", micrographs / "noisy", folder=micrographs)
    assert found["doubt"] is None
    assert "not to be relied on" not in done.output


def test_truth_and_noise_together_are_wrong_usage(micrographs):
    done, _ = run("--images", micrographs, "--truth", micrographs, "--noise-sigma", "1", folder=micrographs)
    assert done.exit_code == 2


def test_an_empty_folder_one_field_and_a_missing_truth_are_refused(micrographs, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(BenchmarkError, match=r"no \.tif"):
        read_folder(tmp_path / "empty")
    images = read_folder(micrographs / "noisy").images
    rng = np.random.default_rng(0)
    with pytest.raises(BenchmarkError, match="at least 2 fields"):
        split_cases(cases_of(images[:1], Degrading(noise_sigma=0.1), scale=1, crop_px=64, rng=rng))
    (micrographs / "truth" / "im0.tif").unlink()
    with pytest.raises(BenchmarkError, match="named like im0, found none"):
        cases_of(images, Degrading(truth=micrographs / "truth"), scale=1, crop_px=64, rng=rng)


def test_grey_in_the_guise_of_colour_is_an_image_and_colour_is_not(micrographs):
    folder = micrographs / "noisy"
    grey = np.asarray(Image.open(folder / "im0.tif"))
    for name, pixels in (
        ("guise", np.stack([grey] * 3, -1)),
        ("dyes", np.stack([grey, grey, grey // 2], -1)),
    ):
        tifffile.imwrite(folder / f"{name}.tif", pixels, photometric="rgb", metadata=None)
    found = read_folder(folder)
    [guise] = [image for image in found.images if image.name == "guise"]
    np.testing.assert_array_equal(guise.pixels, grey)
    assert "colour channels that differ" in found.refused["dyes.tif"]


def test_truth_is_cut_where_the_image_is(micrographs):
    images = read_folder(micrographs / "noisy").images
    how = Degrading(truth=micrographs / "truth")
    for case in cases_of(images, how, scale=1, crop_px=50, rng=np.random.default_rng(0)):
        assert case.input.shape == (50, 50)
        assert np.abs(case.input - case.reference.pixels).std() < 400


def test_a_package_of_bioimage_io_is_scored_like_a_network_of_the_library(two_rivals, micrographs):
    package = micrographs / "shot.zip"
    export_package(Library().load("unet-denoise-shot"), package)
    images = ("--images", micrographs / "truth", "--noise-sigma", "0.1")
    _, found = run(*images, "--networks", package, folder=micrographs)
    [row] = [row for row in found["rows"] if row["ref"]["kind"] == "network" and row["metric"] == "psnr"]
    assert row["method"].startswith("unet-denoise-shot@")
    assert row["value"] > 0
    with pytest.raises(BenchmarkError, match="of different names"):
        run(
            *images,
            "--networks",
            package,
            "--networks",
            Library().path("unet-denoise-shot"),
            folder=micrographs,
        )
    with pytest.raises(BenchmarkError, match="take part in any case"):
        run(*images, "--networks", package, "--networks", "tv", folder=micrographs)


def test_only_by_the_metric_that_decides_an_algorithm_is_called_the_best(two_rivals, micrographs):
    done, found = run("--images", micrographs / "noisy", "--truth", micrographs / "truth", folder=micrographs)
    [line] = [line for line in done.output.splitlines() if line.endswith("best classical")]
    assert line.split()[:2] == [found["best_classical"], "psnr"]


def test_an_unknown_network_is_refused(micrographs):
    from model_library.errors import UnknownNetwork

    with pytest.raises(UnknownNetwork):
        run("--images", micrographs / "noisy", "--networks", "nobody", folder=micrographs)


def test_tuned_and_scored_fields_must_differ():
    case = Case("f", "f", clean(0), Truth.of(clean(0)))
    from model_library.wire.tasks import Denoise

    with pytest.raises(BenchmarkError, match="share 1 fields"):
        assess((), Denoise(), [case], [case])


@pytest.mark.parametrize("network", ["unet-denoise-shot", "edsr-x2-sem", "unet-segment-membranes"])
def test_held_out_specimens_are_reproducible_and_others_than_those_of_tuning(network):
    recipe = read_recipe(recipe_path(network))
    scored, again, tuning = scored_cases(recipe, 2), scored_cases(recipe, 2), tuning_cases(recipe, 2)
    for one, same, other in zip(scored, again, tuning, strict=True):
        assert np.array_equal(one.input, same.input)
        assert not np.array_equal(one.input, other.input)
        assert one.field != other.field
        assert isinstance(one.reference, Labels if recipe.label else Truth)
    assert recipe.fit.seed < HELD_OUT_SEED_OFFSET


def test_a_card_is_measured_against_the_best_tuned_classical_algorithm(monkeypatch):
    monkeypatch.setattr(assessment, "classical_methods", lambda _: (GAUSSIAN, MEDIAN))
    scores, found = measure(Library(), "unet-denoise-shot", images=4, tuning_images=3)
    assert [score.metric for score in scores] == ["psnr", "psnr_gain", "ssim"]
    value, gain, _ = scores
    assert gain.value == pytest.approx(value.value - value.best_classical_value)
    assert value.best_classical == found.best_classical == "gaussian"
    assert gain.value > 0.5
    assert value.fields == 4
    assert value.command == "synoptic benchmark card unet-denoise-shot --images 4"
    assert found.rows[0].metric is Metric.PSNR


def test_a_card_of_labelled_micrographs_is_scored_on_specimens_held_out(monkeypatch, tmp_path):
    """Spots 6 and 7 are held out by the recipe; classical algorithms are tuned on spots that training saw."""
    spots = tmp_path / "em_mat_superalloy_nasa" / "spots"
    for kind in ("images", "labels"):
        (spots / kind).mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("spot1_0d_0", "spot1_0d_1", "spot2_0d_0", "spot6_0d_2", "spot7_0d_5", "spot7_180d_3"):
        mask = ndimage.gaussian_filter(rng.standard_normal((96, 96)), 6) > 0
        grey = 150 - 60 * ndimage.gaussian_filter(mask.astype(float), 1) + rng.normal(0, 8, mask.shape)
        Image.fromarray(np.clip(grey, 0, 255).astype(np.uint8)).save(spots / f"images/{name}.png")
        Image.fromarray(mask.astype(np.uint8)).save(spots / f"labels/{name}.png")
    recipe = read_recipe(recipe_path("unet-segment-superalloy"))
    tuning, scored = tuning_cases(recipe, 2, tmp_path), scored_cases(recipe, 9, tmp_path)
    assert [case.name for case in tuning] == ["spot1_0d_0", "spot2_0d_0"]
    assert [case.name for case in scored] == ["spot6_0d_2", "spot7_0d_5", "spot7_180d_3"]
    monkeypatch.setattr(assessment, "classical_methods", lambda _: (OTSU,))
    scores, _ = measure(Library(), "unet-segment-superalloy", images=9, data=tmp_path, tuning_images=2)
    assert [score.metric for score in scores] == ["dice", "dice_gain"]
    assert scores[0].fields == 3
    assert "spot6, spot7" in scores[0].suite
    assert scores[0].command.endswith("--images 9 --data DATA")
    assert scores[0].value > 0.7


class _BrightAbove(torch.nn.Module):
    """Calls a pixel an edge where the slice above is bright."""

    def forward(self, slices):
        return torch.cat([0.5 - slices[:, 2:], slices[:, 2:] - 0.5], dim=1)


def test_a_network_of_slices_takes_the_neighbours_along_and_knows_its_stack_only():
    config = UNetConfig(widths=(4, 6), in_channels=3, channels="slices", out_channels=2, residual=False)
    card = NetworkCard(
        id="slices", version="1", purpose="test", task=Segment(classes=("background", "edge")), config=config,
        facts=facts(config), weights_sha256="0" * 64,
    )  # fmt: skip
    stack = np.random.default_rng(0).random((9, 33, 40)).astype(np.float32)
    loaded = LoadedNetwork(card, _BrightAbove())
    unit = Scaling.of(stack).apply(stack)
    found = InStack(loaded, stack)(stack[4])
    assert np.array_equal(found > 0, unit[5] > 0.5)
    last = InStack(loaded, stack)(stack[8])
    assert np.array_equal(last > 0, unit[8] > 0.5)
    assert np.array_equal(found, segment_stack(stack, loaded)[4])
    with pytest.raises(BenchmarkError, match="its own stack"):
        InStack(loaded, stack)(stack[4] + 1)
    scored = slice_cases(LabelledStack(90, stack, stack > 0.5, ("",) * 9), at_most=2)
    assert [case.name for case in scored] == ["slice 92", "slice 96"]


def test_objects_grow_from_the_cores_that_a_network_finds_and_are_scored_as_objects():
    config = UNetConfig(widths=(4, 6), out_channels=3, residual=False)
    task = Segment(classes=("background", "particle", "rim"))
    card = NetworkCard(
        id="rims", version="1", purpose="test", task=task, config=config, facts=facts(config),
        weights_sha256="0" * 64,
    )  # fmt: skip
    cases = []
    for shift in (0, 3, 6):
        truth = np.zeros((64, 96), dtype=np.int32)
        truth[10:40, 10 + shift : 40 + shift], truth[10:40, 40 + shift : 60 + shift] = 2, 1
        grey = bordered(truth, 2).astype(np.float32)
        cases.append(Case(f"field {shift}", f"field {shift}", grey, Instances(truth)))
    network = LoadedNetwork(card, _GreyIsClass())
    found = Grown(network)(cases[0].input)
    assert (found.max(), (found == 1).sum(), (found == 2).sum()) == (2, 900, 600)
    own, rival = object_rows(network, cases[:1], cases[1:], seed=0)
    assert own.value == 1.0
    assert rival.method == "parted-objects"


class _GreyIsClass(torch.nn.Module):
    """Takes the grey value, which 0, 0.5 and 1 on the unit scale stand for, as the class."""

    def forward(self, image):
        return torch.cat([-torch.abs(2 * image - number) for number in range(3)], dim=1)
