"""The suite: no network is scored on what its training saw, a run resumes, and rows say it all."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from benchmark import assessment, networks
from benchmark.baselines import pixel_training
from benchmark.baselines.forest import Growth
from benchmark.baselines.numbered import Numbered
from benchmark.cli import app
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.real import command, suite
from benchmark.real.build import build_cases
from benchmark.real.contestants import contestant, entrants
from benchmark.real.finished import Finished
from benchmark.real.judging import Terms
from benchmark.real.rows import CaseResult, RealRow, pooled
from benchmark.real.seen import Seen, case_digests, page_digest, seen_by
from benchmark.real.sources import FIB25_STACK, Part
from benchmark.real.suite import run_suite
from benchmark.real.table import CASES, Form, Labelled, RealCase
from benchmark.real.tuned import TuneConfig
from benchmark.rims import Grown
from model_library.cards.card import TrainingData
from model_library.images.readers import read_stack
from model_library.inference.instances import Instances
from model_library.networks.config import MaskRCNNConfig
from model_library.signing.digests import sha256_file
from model_library.wire.tasks import Segment

SEGMENT = Segment(classes=("background", "precipitate"))


@pytest.fixture(autouse=True)
def two_rivals(monkeypatch):
    genuine = assessment.classical_methods
    monkeypatch.setattr(assessment, "classical_methods", lambda task: genuine(task)[:2])
    monkeypatch.setattr(pixel_training, "GROWTH", Growth(trees=2, depth=3))


def quiet(_):
    return None


def spot(data, number):
    return data / "em_mat_superalloy_nasa" / "spots" / "images" / f"spot{number}_0d_0.png"


def test_one_row_per_method_and_metric_with_the_difference_to_the_best_classical(
    superalloy, noise_case, small_library
):
    found = run_suite([noise_case], Terms(superalloy, small_library()), Finished(None), quiet)
    assert len({(row.method, row.metric) for row in found.rows}) == len(found.rows) == 3 * 3
    leading = [row for row in found.rows if row.metric is Metric.PSNR]
    assert [row.value for row in leading] == sorted((row.value for row in leading), reverse=True)
    best = leading[0].best_classical
    for row in leading:
        assert row.n == 2
        assert row.task == "denoise"
        if row.method == best:
            assert row.difference is None
            continue
        rival = next(other for other in leading if other.method == best)
        assert row.difference == pytest.approx(row.value - rival.value)


@pytest.mark.parametrize(
    ("numbers", "saw"), [((), Seen.NOTHING), ((1, 2), Seen.TUNING), ((2, 7), Seen.SCORED)]
)
def test_a_network_is_not_scored_on_an_image_that_its_training_saw(
    superalloy, noise_case, small_library, numbers, saw
):
    library = small_library(digests=[sha256_file(spot(superalloy, number)) for number in numbers])
    found = run_suite([noise_case], Terms(superalloy, library), Finished(None), quiet)
    rows = [row for row in found.rows if row.kind == "network"]
    assert {row.saw for row in rows} == {saw}
    if saw is Seen.SCORED:
        (row,) = rows
        assert row.value is None
        assert row.n == 0
        assert "saw 1 of 2 images to be scored" in row.refused
    else:
        assert all(row.value is not None for row in rows)


def test_the_digest_is_that_of_the_bytes_whatever_the_file_is_called(superalloy, noise_case, small_library):
    digest = sha256_file(spot(superalloy, 7))
    spot(superalloy, 7).rename(spot(superalloy, 6))
    library = small_library(digests=[digest])
    assert seen_by(library.card("small"), case_digests(noise_case, superalloy)) is Seen.SCORED


def test_of_a_stack_the_pages_count_and_its_file_stands_for_all_of_them(tmp_path, small_library):
    import tifffile

    source = FIB25_STACK.model_copy(update={"tuning_pages": (0, 1), "scored_pages": (3,)})
    (tmp_path / source.folder).mkdir()
    path = tmp_path / source.folder / "raw_z000-119.tif"
    pixels = np.arange(4 * 64 * 64, dtype=np.uint16).reshape(4, 64, 64)
    tifffile.imwrite(path, pixels, photometric="minisblack")
    case = RealCase(
        name="stack",
        source=source,
        task=Segment(classes=("background", "membrane")),
        how=Labelled(target="membrane", form=Form.CELLS),
    )
    digests, pages = case_digests(case, tmp_path), [page_digest(page) for page in read_stack(path)]
    card = small_library().card("small")
    for seen, expected in (
        (pages[0], Seen.TUNING),
        (pages[2], Seen.NOTHING),
        (pages[3], Seen.SCORED),
        (sha256_file(path), Seen.SCORED),
    ):
        data = TrainingData(source="s", terms="t", images=1, digests=(seen,), simulated=False)
        assert seen_by(card.model_copy(update={"training_data": (data,)}), digests) is expected


def test_a_run_goes_on_where_it_was_until_something_changes(
    superalloy, noise_case, small_library, tmp_path, monkeypatch
):
    terms = Terms(superalloy, small_library())
    first = run_suite([noise_case], terms, Finished(tmp_path / "work"), quiet)
    judged = []
    genuine = suite.judge
    monkeypatch.setattr(suite, "judge", lambda *terms: judged.append(1) or genuine(*terms))
    assert run_suite([noise_case], terms, Finished(tmp_path / "work"), quiet) == first
    assert not judged
    small_library(seed=1)
    run_suite([noise_case], terms, Finished(tmp_path / "work"), quiet)
    assert len(judged) == 1
    (tmp_path / "work" / "noise.json").write_text("{}")
    run_suite([noise_case], terms, Finished(tmp_path / "work"), quiet)
    assert len(judged) == 2


def test_self_ensembles_are_other_results_and_said_so(superalloy, noise_case, small_library, tmp_path):
    library, finished = small_library(), Finished(tmp_path / "work")
    plain, turned = (
        run_suite([noise_case], Terms(superalloy, library, self_ensemble=each), finished, quiet)
        for each in (False, True)
    )
    assert (plain.self_ensemble, turned.self_ensemble) == (False, True)
    one, other = (next(row.value for row in found.rows if row.kind == "network") for found in (plain, turned))
    assert one != other
    assert one == pytest.approx(other, abs=1)


def test_a_case_without_its_files_is_skipped_and_the_others_run(superalloy, noise_case, small_library):
    absent = next(case for case in CASES if case.source.id == "oxide")
    found = run_suite([absent, noise_case], Terms(superalloy, small_library()), Finished(None), quiet)
    assert list(found.skipped) == [absent.name]
    assert {row.case for row in found.rows} == {"noise"}


def test_a_mask_is_asked_only_of_networks_that_know_the_class(superalloy, precipitate_case, small_library):
    small_library("axons", task=Segment(classes=("background", "axon")))
    small_library("three", task=Segment(classes=("background", "void", "precipitate")))
    library = small_library("two", task=SEGMENT)
    found = run_suite([precipitate_case], Terms(superalloy, library), Finished(None), quiet)
    assert {row.method for row in found.rows if row.kind == "network"} == {
        "two@1.0.0",
        "three@1.0.0",
    }
    assert {row.metric for row in found.rows} == {Metric.DICE, Metric.IOU}
    best = max(row.value for row in found.rows if row.kind == "classical")
    assert best > 0.9


@pytest.mark.parametrize("form", [Form.OBJECTS, Form.CELLS])
def test_objects_and_cells_come_from_a_probability_that_is_tuned_like_an_image(
    superalloy, precipitate_case, small_library, form
):
    case = precipitate_case.model_copy(
        update={"how": Labelled(target="precipitate", form=form), "name": form.value}
    )
    found = run_suite([case], Terms(superalloy, small_library(task=SEGMENT)), Finished(None), quiet)
    rivals = {"parted-objects"} if form is Form.OBJECTS else {"grown-cells", "merged-cells"}
    assert {row.method for row in found.rows} == {"small@1.0.0", "random-forest", *rivals}
    assert all(row.value is not None for row in found.rows)


def test_a_network_with_a_class_of_rims_is_read_as_does_better_on_the_tuning_images(
    superalloy, precipitate_case, small_library, monkeypatch
):
    case = precipitate_case.model_copy(update={"how": Labelled(target="precipitate", form=Form.OBJECTS)})
    library = small_library(task=Segment(classes=("background", "precipitate", "rim")))
    found = run_suite([case], Terms(superalloy, library, tune=TuneConfig(steps=1)), Finished(None), quiet)
    assert {row.method for row in found.rows} == {"small@1.0.0", "parted-objects", "random-forest"}
    tuning = build_cases(case, superalloy, Part.TUNING)
    true = {each.input.tobytes(): each.reference.labels.astype(np.float32) for each in tuning}
    monkeypatch.setattr(Grown, "__call__", lambda self, pixels: true[pixels.tobytes()])
    assert isinstance(contestant(library.load("small"), case, tuning, superalloy), Grown)
    monkeypatch.setattr(Grown, "__call__", lambda self, pixels: np.zeros_like(pixels))
    monkeypatch.setattr(Numbered, "__call__", lambda self, pixels: true[pixels.tobytes()])
    assert isinstance(contestant(library.load("small"), case, tuning, superalloy), Numbered)


def test_a_detector_is_asked_for_objects_alone_and_ranks_them(
    superalloy, precipitate_case, small_library, monkeypatch
):
    library = small_library(task=SEGMENT, config=MaskRCNNConfig(width=8, proposals=16, detections=8))
    case = precipitate_case.model_copy(update={"how": Labelled(target="precipitate", form=Form.OBJECTS)})
    assert [card.id for card in entrants(case, library)] == ["small"]
    assert not entrants(precipitate_case, library)
    labels = np.zeros((64, 64), np.int32)
    labels[:9], labels[20:29], labels[40:] = 1, 2, 3
    found = Instances(labels, np.array([1, 2, 1], np.uint8), np.array([0.9, 0.8, 0.7], np.float32))
    monkeypatch.setattr(networks, "instances", lambda pixels, network, least_score: found)
    method = contestant(library.load("small"), case, (), superalloy)
    numbers = method(np.zeros((64, 64), np.float32))
    assert [numbers[y, 0] for y in (0, 25, 50, 15)] == [1, 0, 2, 0]
    result = run_suite([case], Terms(superalloy, library, tune=TuneConfig(steps=1)), Finished(None), quiet)
    assert {row.method for row in result.rows} == {"small@1.0.0", "parted-objects", "random-forest"}


def stack_case(folder, form):
    """A stack whose slices are all alike but for noise, cut by one membrane."""
    import tifffile

    source = FIB25_STACK.model_copy(
        update={"tuning_pages": (0, 1), "scored_pages": (5, 6), "parameter_pages": (3,)}
    )
    (folder / source.folder).mkdir()
    numbers = np.repeat(np.array([1, 2], np.uint16), 32)[None, None].repeat(64, 1).repeat(8, 0)
    rng = np.random.default_rng(0)
    volume = 150 - 100 * (np.abs(np.arange(64) - 31.5) < 2) + rng.integers(0, 20, (8, 64, 64))
    for name, pixels in (("raw", volume.astype(np.uint8)), ("neuron_instances", numbers)):
        tifffile.imwrite(folder / source.folder / f"{name}_z000-119.tif", pixels, photometric="minisblack")
    return RealCase(
        name="stack",
        source=source,
        task=Segment(classes=("background", "membrane")),
        how=Labelled(target="membrane", also=("cell-border",), form=form),
        crop_px=64,
        tuning_px=64,
    )


@pytest.mark.parametrize("form", [Form.CELLS, Form.MASK])
def test_networks_of_slices_take_part_where_there_is_a_stack_and_nowhere_else(
    tmp_path, superalloy, precipitate_case, small_library, form
):
    borders = Segment(classes=("background", "cell-border"))
    small_library("stack", task=borders, in_channels=5, channels="slices")
    small_library("flat", task=Segment(classes=("background", "membrane")))
    library = small_library("of-slices", task=SEGMENT, in_channels=3, channels="slices")
    found = run_suite([stack_case(tmp_path, form)], Terms(tmp_path, library), Finished(None), quiet)
    networks = {row.method for row in found.rows if row.kind == "network" and row.value is not None}
    assert networks == {"stack@1.0.0", "flat@1.0.0"}
    if form is Form.CELLS:
        assert next(row.value for row in found.rows if row.kind == "classical") > 0.95
    elsewhere = run_suite([precipitate_case], Terms(superalloy, library), Finished(None), quiet)
    assert not [row for row in elsewhere.rows if row.kind == "network"]


def row(case, method, difference):
    return RealRow(
        task="denoise",
        case=case,
        source="s",
        method=method,
        kind="network",
        metric=Metric.PSNR,
        value=30.0,
        ci95=None,
        n=2,
        difference=difference,
    )


def test_pooled_gains_count_every_field_of_view_once():
    results = [
        CaseResult(
            case=name, fingerprint="f", rows=(row(name, "net", 1.0),), gains={"net": gains, "once": gains[:1]}
        )
        for name, gains in (("a", (0.5, 0.7)), ("b", (1.0, 1.1, 1.2)))
    ]
    results[1] = results[1].model_copy(update={"gains": {"net": (1.0, 1.1, 1.2)}})
    (found,) = pooled(results, ("a", "b", "c"), "all sources")
    assert found.case == "all-2-of-3"
    assert found.n == 5
    assert found.difference == pytest.approx(0.9)
    assert found.ahead
    assert not found.model_copy(update={"metric": Metric.FRAME_RISK}).ahead


def invoke(*arguments):
    return CliRunner().invoke(app, ["run", "--suite", "real", *map(str, arguments)], catch_exceptions=False)


def test_the_command_writes_rows_and_a_page(superalloy, noise_case, small_library, tmp_path, monkeypatch):
    library = small_library(digests=[sha256_file(spot(superalloy, 6))])
    small_library("other", seed=2)
    monkeypatch.setattr(command, "CASES", (noise_case,))
    done = invoke(
        *("--data", superalloy, "--library", library.folder, "--work", tmp_path / "work"),
        *("--json", tmp_path / "real.json", "--report", tmp_path / "real.html"),
    )
    assert done.exit_code == 0
    content = json.loads((tmp_path / "real.json").read_text())
    wanted = {"task", "case", "source", "method", "metric", "value", "ci95", "n", "difference"}
    assert all(wanted <= set(each) for each in content["rows"])
    page = (tmp_path / "real.html").read_text()
    assert "data:image/png;base64," in page
    assert "its training saw 1 of 2 images" in page
    assert "other@1.0.0" in done.output


def test_wrong_usage_of_the_command(superalloy, noise_case, small_library, tmp_path, monkeypatch):
    monkeypatch.setenv("SYNOPTIC_SHARED_DATA", str(tmp_path / "absent"))
    with pytest.raises(BenchmarkError, match=r"docs/benchmarks\.md"):
        invoke()
    with pytest.raises(BenchmarkError, match="expected cases among"):
        invoke("--data", superalloy, "--cases", "nonesuch")
    with pytest.raises(BenchmarkError, match="expected a case that can be run"):
        invoke("--data", tmp_path, "--cases", "oxide-x2")
    assert invoke("--images", tmp_path).exit_code == 2
    assert CliRunner().invoke(app, ["run"]).exit_code == 2
