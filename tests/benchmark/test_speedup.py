"""How much less a restored image needs: crossings of known curves, and a restoration that is known."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from benchmark.cli import app
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.speedup.command import crossing_in_words
from benchmark.speedup.curve import curve_of, field_crossing
from benchmark.speedup.measure import FullAcquisition, Question, measure, simulated_question
from model_library.images.raster import encode_png
from model_library.signing.digests import sha256_file
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Segment

REDUCTIONS = (1.0, 2.0, 4.0, 8.0)
FULL = FullAcquisition(electrons_per_pixel=100, read_electrons=1)


@pytest.mark.parametrize(
    ("ahead", "expected"),
    [
        ((3.0, 1.0, -1.0, -3.0), 2**1.5),
        ((3.0, 2.0, 0.0, -3.0), 4.0),
        ((-0.1, 2.0, 1.0, 1.0), 1.0),
        ((3.0, 2.0, 1.0, 0.5), 8.0),
        ((3.0, -1.0, 5.0, 5.0), 2**0.75),
    ],
)
def test_the_first_fall_below_the_full_acquisition_is_the_crossing(ahead, expected):
    assert field_crossing(REDUCTIONS, ahead) == pytest.approx(expected)


@given(st.lists(st.floats(-5, 5), min_size=4, max_size=4), st.floats(0.1, 10))
def test_crossings_stay_in_the_range_and_do_not_depend_on_the_unit(ahead, factor):
    found = field_crossing(REDUCTIONS, ahead)
    assert 1 <= found <= 8
    assert field_crossing(REDUCTIONS, [factor * lead for lead in ahead]) == pytest.approx(found)


def test_a_lead_that_falls_by_the_doubling_crosses_where_it_must():
    full = [20.0, 21.0, 22.0]
    found = {reduction: [value + 6 - 3 * np.log2(reduction) for value in full] for reduction in REDUCTIONS}
    doses = {reduction: 100 / reduction for reduction in REDUCTIONS}
    curve = curve_of("net", found, full, doses, Metric.PSNR)
    assert curve.crossing.reduction == pytest.approx(4.0)
    assert curve.crossing.ci95 == pytest.approx((4.0, 4.0))
    assert [point.difference for point in curve.points] == pytest.approx([6, 3, 0, -3])
    assert (curve.crossing.below_range, curve.crossing.above_range) == (0, 0)
    always = curve_of("net", {1.0: [30.0, 20.0], 2.0: [29.0, 19.0]}, [25.0, 25.0], doses, Metric.PSNR)
    assert (always.crossing.below_range, always.crossing.above_range) == (1, 1)
    assert "1 worse at any reduction; 1 better at all of them" in crossing_in_words(always.crossing)


class Averaging:
    """Bins 2 x 2 and enlarges again: on steps of even length, four times the electrons."""

    scale = 1
    ref = ClassicalRef(id="averaging")

    def __call__(self, pixels):
        blocks = pixels.reshape(pixels.shape[0] // 2, 2, -1, 2).mean(axis=(1, 3))
        return np.repeat(np.repeat(blocks, 2, axis=0), 2, axis=1).astype(np.float32)


def steps(seed, side=64):
    blocks = np.random.default_rng(seed).uniform(0.3, 1, (side // 8, side // 8))
    return np.repeat(np.repeat(blocks, 8, axis=0), 8, axis=1).astype(np.float32)


def test_averaging_four_pixels_of_a_flat_place_is_worth_four_times_the_electrons():
    question = Question(
        FULL.model_copy(update={"read_electrons": 0.0}),
        Metric.PSNR,
        (1.0, 2.0, 4.0, 8.0),
        [steps(0)],
        [steps(seed) for seed in range(1, 7)],
        "steps",
    )
    told = []
    found = measure(Averaging(), "averaging", question, told.append)
    curve = found.curves[0]
    assert curve.crossing.reduction == pytest.approx(4.0, rel=0.1)
    assert [point.electrons_per_pixel for point in curve.points] == [100, 50, 25, 12.5]
    assert [each.method for each in found.curves] == ["averaging", "gaussian", "tv"]
    assert len(told) == 4


class Repeating:
    """Repeats pixels: what enlarging does to steps."""

    scale = 2
    ref = ClassicalRef(id="repeating")

    def __call__(self, pixels):
        return np.repeat(np.repeat(pixels, 2, axis=0), 2, axis=1)


def test_fewer_pixels_at_the_same_dwell_time_are_the_same_reduction_in_electrons():
    question = Question(FULL, Metric.PSNR, (4.0, 8.0), [steps(0)], [steps(1), steps(2)], "steps")
    found = measure(Repeating(), "repeating", question, lambda _: None)
    assert found.curves[0].points[0].electrons_per_pixel == FULL.electrons_per_pixel
    assert found.curves[0].points[0].difference == pytest.approx(0, abs=0.3)


def test_too_few_images_are_refused():
    question = Question(FULL, Metric.PSNR, (1.0,), [steps(0)], [steps(1)], "steps")
    with pytest.raises(BenchmarkError, match="at least 2 images"):
        measure(Averaging(), "averaging", question, lambda _: None)


def test_equal_seeds_ask_the_same_question():
    a, b = (simulated_question(FULL, Metric.PSNR, (1.0,), images=2, seed=3) for _ in "ab")
    other = simulated_question(FULL, Metric.PSNR, (1.0,), images=2, seed=4)
    assert all(np.array_equal(x, y) for x, y in zip(a.judged, b.judged, strict=True))
    assert not np.array_equal(a.judged[0], other.judged[0])
    assert len(a.judged) == 2
    assert not any(np.array_equal(a.judged[0], each) for each in a.tuning)


@pytest.fixture
def micrographs(tmp_path):
    folder = tmp_path / "clean"
    folder.mkdir()
    for seed in range(5):
        pixels = (255 * steps(seed, 160)).astype(np.uint8)
        (folder / f"{seed}.png").write_bytes(encode_png(pixels))
    return folder


def run(*arguments):
    words = ["speedup", "--network", "small", *map(str, arguments)]
    return CliRunner().invoke(app, words, catch_exceptions=False)


def test_the_command_writes_a_curve_and_its_picture(small_library, micrographs, tmp_path):
    library = small_library().folder
    done = run(
        *("--library", library, "--images", micrographs, "--json", tmp_path / "s.json"),
        *("--plot", tmp_path / "s.png"),
    )
    assert done.exit_code == 0
    found = json.loads((tmp_path / "s.json").read_text())
    assert [curve["method"] for curve in found["curves"]] == ["small", "gaussian", "tv"]
    assert [point["reduction"] for point in found["curves"][0]["points"]] == [1, 2, 4, 8, 16, 32, 64]
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    assert "times fewer electrons" in done.output


def test_a_segmenting_network_and_one_that_saw_the_images_are_refused(small_library, micrographs):
    library = small_library(digests=[sha256_file(micrographs / "3.png")]).folder
    with pytest.raises(BenchmarkError, match=r"did not see, found 3\.png"):
        run("--library", library, "--images", micrographs)
    small_library(task=Segment(classes=("background", "object")))
    with pytest.raises(BenchmarkError, match="which segments them"):
        run("--library", library)
