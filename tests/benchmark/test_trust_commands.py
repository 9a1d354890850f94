"""`synoptic benchmark trust|gate|compare|report` on small folders of simulated images."""

import json

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from typer.testing import CliRunner

from benchmark import gate_run
from benchmark.assessment import classical_rivals
from benchmark.cli import app
from benchmark.comparing import POOLED, site_rows
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.micrographs import Degrading
from benchmark.named import cast, labels_of
from benchmark.networks import as_method
from benchmark.report_page import kind_of
from benchmark.scores import Scores
from benchmark.sites import Asked, read_sites
from benchmark.trust.learned_from import read_statistics, statistics_of, training_like, write_statistics
from benchmark.trust.likeness import FEATURES, TrainingStatistics, distances
from benchmark.trust.likeness_error import area_under_roc, parted
from model_library.errors import UnknownNetwork
from model_library.images.frame import Frame
from model_library.images.readers import read_frame
from model_library.images.writers import encode_acquisition
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise, Segment
from model_library.zoo.exchange.export import export_package
from model_library.zoo.recipe import read_recipe, recipe_path
from model_library.zoo.registry import Library

FIELDS, SIDE = 5, 96
SHIPPED = "unet-denoise-shot"


def clean(seed):
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((SIDE, SIDE)), 5, mode="wrap")
    return gaussian_filter(9000 + 6000.0 * (field > 0) + 20000 * field, 1).astype(np.float32)


def write(folder, seeds, sigma):
    folder.mkdir(parents=True)
    for seed in seeds:
        pixels = clean(seed) + np.random.default_rng([seed, 9]).normal(0, sigma, (SIDE, SIDE))
        frame = Frame(np.clip(pixels, 0, 65535).astype(np.uint16), pixel_size_nm=4.0, field=f"P{seed}")
        (folder / f"im{seed}.tif").write_bytes(encode_acquisition(frame))


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Noisy images and their truth, in one folder and in one per site."""
    base = tmp_path_factory.mktemp("scans")
    for name, sigma in (("noisy", 900.0), ("truth", 0.0)):
        write(base / name, range(FIELDS), sigma)
        write(base / f"{name}-sites" / "east", range(4), sigma)
        write(base / f"{name}-sites" / "west", range(4, 8), sigma)
    return base


@pytest.fixture
def two_rivals(monkeypatch):
    def tune_two(task, tuning, metric=None):
        return classical_rivals(task, tuning, metric)[:2]

    monkeypatch.setattr(gate_run, "classical_rivals", tune_two)


def run(*words):
    done = CliRunner().invoke(app, [str(word) for word in words], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done


def test_trust_tells_every_check_with_its_limit_and_writes_page_and_maps(scans, tmp_path):
    words = ["--images", scans / "noisy", "--json", tmp_path / "t.json", "--report", tmp_path / "t.html"]
    done = run("trust", "--network", SHIPPED, *words, "--maps", tmp_path / "maps")
    content = json.loads((tmp_path / "t.json").read_text())
    checks = {finding["check"]: finding for finding in content["findings"]}
    assert len(checks) == 7
    assert content["holds"] is True
    assert all(finding["limit"] for finding in checks.values())
    assert 0.5 < checks["coverage of the 95 % interval"]["value"] <= 1
    assert set(content["likeness"]) == {f"im{seed}" for seed in range(FIELDS)}
    assert "every check that applies holds" in done.output
    page = (tmp_path / "t.html").read_text()
    assert page.count("data:image/png") == 4
    maps = sorted((tmp_path / "maps").iterdir())
    assert len(maps) == FIELDS
    width = read_frame(maps[0]).pixels
    assert width.shape == (SIDE, SIDE)
    assert width.min() > 0


def test_trust_of_a_classical_algorithm_with_the_truth_at_hand(scans, tmp_path):
    words = ["--images", scans / "noisy", "--truth", scans / "truth", "--json", tmp_path / "t.json"]
    run("trust", "--network", "gaussian", "--task", "denoise", *words)
    content = json.loads((tmp_path / "t.json").read_text())
    told = {finding["check"]: finding["told"] for finding in content["findings"]}
    assert "of the truth" in told["coverage of the 95 % interval"]
    assert told["likeness to the training data"] == "a classical algorithm learned from nothing"


def test_a_network_without_statistics_is_of_unknown_likeness(scans, tmp_path, small_library):
    small_library("small")
    words = ["--images", scans / "noisy", "--library", tmp_path / "library", "--json", tmp_path / "t.json"]
    run("trust", "--network", "small", *words)
    content = json.loads((tmp_path / "t.json").read_text())
    [likeness] = [one for one in content["findings"] if one["check"] == "likeness to the training data"]
    assert (likeness["value"], likeness["holds"]) == (None, None)
    assert likeness["told"].startswith("unknown")


def test_gate_gives_a_verdict_with_reasons_sites_and_trust(scans, tmp_path, two_rivals):
    words = [
        "--images",
        scans / "noisy-sites",
        "--truth",
        scans / "truth-sites",
        "--json",
        tmp_path / "g.json",
        "--report",
        tmp_path / "g.html",
    ]
    done = run("gate", "--candidate", SHIPPED, "--incumbent", "gaussian", *words)
    content = json.loads((tmp_path / "g.json").read_text())
    verdict = content["verdict"]
    assert content["passed"] is verdict["passed"]
    assert {site["site"] for site in verdict["sites"]} == {"east", "west"}
    assert len(verdict["trust"]) == 5
    assert verdict["metric"] == "psnr"
    assert set(content["scores"]) == {"unet-denoise-shot@1.0.0", "gaussian", "median"}
    assert verdict["reasons"][0] in done.output
    assert (tmp_path / "g.html").read_text().count("data:image/png") == 2
    moved = [
        "--images",
        scans / "noisy-sites",
        "--truth",
        scans / "truth-sites",
        "--out",
        tmp_path / "r.html",
    ]
    run("report", tmp_path / "g.json", *moved)
    pictures = [
        page.read_text().count("data:image/png") for page in (tmp_path / "g.html", tmp_path / "r.html")
    ]
    assert pictures == [2, 2]


@pytest.mark.parametrize("passed", [True, False])
def test_a_strict_gate_ends_with_one_unless_it_is_passed(scans, monkeypatch, passed):
    class Answer:
        def __init__(self):
            self.passed = passed

    monkeypatch.setattr(gate_run, "run_gate", lambda *asked: Answer())
    words = ["gate", "--candidate", SHIPPED, "--images", str(scans / "noisy")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert CliRunner().invoke(app, [*words, "--strict"]).exit_code == (0 if passed else 1)


def test_a_strict_check_ends_with_one_if_a_network_cannot_be_trusted(scans, tmp_path, small_library):
    small_library("untrained")
    words = [
        "trust",
        "--network",
        "untrained",
        "--library",
        tmp_path / "library",
        "--images",
        scans / "noisy",
    ]
    words += ["--json", tmp_path / "t.json"]
    run(*words)
    holds = json.loads((tmp_path / "t.json").read_text())["holds"]
    assert CliRunner().invoke(app, [str(word) for word in (*words, "--strict")]).exit_code == (
        0 if holds else 1
    )


def test_compare_takes_a_library_network_and_a_package_of_the_same_name(scans, tmp_path):
    package = tmp_path / "other.zip"
    export_package(Library().load(SHIPPED), package)
    words = [
        "--images",
        scans / "noisy-sites",
        "--json",
        tmp_path / "c.json",
        "--report",
        tmp_path / "c.html",
    ]
    run("compare", SHIPPED, package, *words)
    content = json.loads((tmp_path / "c.json").read_text())
    assert [row["site"] for row in content["rows"]] == ["east", "west", POOLED]
    pooled = content["rows"][-1]
    assert pooled["fields"] == 8
    assert pooled["difference"] == pytest.approx(0, abs=1e-4)
    assert content["a"] != content["b"]
    assert (tmp_path / "c.html").read_text().count("data:image/png") == 2


def test_report_joins_what_the_commands_wrote(scans, tmp_path, two_rivals, small_library):
    images = ["--images", scans / "noisy"]
    truth = ["--truth", scans / "truth"]
    run("compare", SHIPPED, "median", *images, *truth, "--json", tmp_path / "c.json")
    library = ["--library", tmp_path / "none"]
    (tmp_path / "none").mkdir()
    run("run", *images, *truth, *library, "--crop-px", 80, "--json", tmp_path / "r.json")
    small_library("small")
    run(
        "select",
        *images,
        "--task",
        "denoise",
        "--library",
        tmp_path / "library",
        "--json",
        tmp_path / "s.json",
    )
    files = [tmp_path / name for name in ("c.json", "r.json", "s.json")]
    out = ["--out", tmp_path / "all.html", "--json", tmp_path / "all.json"]
    run("report", *files, *images, *out)
    page = (tmp_path / "all.html").read_text()
    assert page.count("<section>") == 3
    assert "over the best classical" in page
    assert "<th scope=col>case</th>" not in page
    assert page.count("data:image/png") == 4
    assert [each["file"] for each in json.loads((tmp_path / "all.json").read_text())] == [
        "c.json",
        "r.json",
        "s.json",
    ]
    (tmp_path / "odd.json").write_text("{}")
    with pytest.raises(BenchmarkError, match="expected JSON of `synoptic benchmark"):
        kind_of(tmp_path / "odd.json", {})


def test_names_that_nobody_bears_and_tasks_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(UnknownNetwork, match="nobody"):
        cast(["nobody"], library=None, aside=tmp_path)
    with pytest.raises(BenchmarkError, match="one task"):
        cast(["tv", "gaussian"], library=None, aside=tmp_path)
    with pytest.raises(BenchmarkError, match="one task"):
        cast([SHIPPED, "edsr-x2-sem"], library=None, aside=tmp_path)
    with pytest.raises(BenchmarkError, match="expected classical algorithms for the task"):
        cast([SHIPPED, "otsu"], library=None, aside=tmp_path)


def test_a_network_may_be_named_by_its_folder(tmp_path):
    folder = str(Library().path(SHIPPED))
    found = cast([folder, "tv"], library=None, aside=tmp_path)
    assert found.task == Denoise()
    assert found.networks[folder].network.card.id == SHIPPED
    network = as_method(found.networks[folder].network)
    methods = {"a": network, "b": network}
    assert labels_of(methods) == {"a": "unet-denoise-shot@1.0.0 (a)", "b": "unet-denoise-shot@1.0.0 (b)"}


def test_sites_are_sub_folders_and_keep_their_fields_apart(scans):
    read = read_sites(Asked(scans / "noisy-sites", Degrading()), Denoise())
    assert read.names == ("east", "west")
    tuning, scored = read.split()
    assert {read.sites[case.field] for case in tuning} == {read.sites[case.field] for case in scored}
    assert not {case.field for case in tuning} & {case.field for case in scored}
    with pytest.raises(BenchmarkError, match="--labels"):
        read_sites(Asked(scans / "noisy", Degrading()), Segment(classes=("background", "particle")))


def test_drawn_labels_make_cases_of_the_images_that_they_name(scans, tmp_path):
    labels = tmp_path / "labels.xml"
    box = '<box label="particle" xtl="10" ytl="10" xbr="40" ybr="40" occluded="0" z_order="0"/>'
    images = "".join(
        f'<image id="{n}" name="im{n}.tif" width="{SIDE}" height="{SIDE}">{box}</image>' for n in (0, 1)
    )
    labels.write_text(f"<annotations><version>1.1</version>{images}</annotations>")
    asked = Asked(scans / "noisy", Degrading(), labels)
    read = read_sites(asked, Segment(classes=("background", "particle")))
    assert [case.name for case in read.cases] == ["im0", "im1"]
    assert read.cases[0].reference.mask.sum() == 30 * 30


def scores(values):
    refs = {"a": ClassicalRef(id="a")}
    fields = tuple(f"f{n}" for n in range(len(values)))
    return Scores(metric=Metric.PSNR, fields=fields, names=fields, refs=refs, values={"a": tuple(values)})


def test_effect_size_and_wins_are_those_of_the_paired_differences():
    sites = {f"f{n}": "one" for n in range(4)}
    [row] = site_rows(scores([2.0, 3.0, 4.0, 1.0]), scores([1.0, 1.0, 1.0, 2.0]), sites)
    differences = np.array([1.0, 2.0, 3.0, -1.0])
    assert row.difference == pytest.approx(differences.mean())
    assert row.effect_size == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert (row.wins, row.fields, row.site) == (0.75, 4, POOLED)
    [lacking] = site_rows(scores([2.0, None, 4.0, 1.0]), scores([1.0, 1.0, 1.0, 2.0]), sites)
    assert (lacking.a, lacking.difference) == (None, None)


def test_images_that_a_network_learned_from_are_like_them_and_others_are_not():
    recipe = read_recipe(recipe_path(SHIPPED))
    card = Library().card(SHIPPED)
    statistics = statistics_of(card, recipe, None, images=48)
    others = training_like(recipe, None, 60)[48:]
    near = np.median(distances(statistics, others))
    smooth = [gaussian_filter(image, 3) for image in others]
    striped = [image + np.ptp(image) * (np.arange(image.shape[1]) % 4 < 2) for image in others]
    assert near < 1
    assert np.median(distances(statistics, smooth)) > 1.5
    assert np.median(distances(statistics, striped)) > 1.5


def test_gain_and_offset_of_a_detector_play_no_part_in_likeness():
    statistics = read_statistics(Library().path(SHIPPED), Library().card(SHIPPED).weights_sha256)
    assert statistics is not None
    image = clean(3) + np.random.default_rng(0).normal(0, 900, (SIDE, SIDE)).astype(np.float32)
    plain, other = distances(statistics, [image, 0.01 * image + 70])
    assert other == pytest.approx(plain, rel=1e-2)


def test_likeness_parts_other_images_from_those_that_a_recipe_draws(tmp_path):
    y, x = np.mgrid[:160, :160]
    for number in range(3):
        stripes = 1000 + 800 * np.sin(x / (2 + number)) + 0 * y
        tifffile.imwrite(tmp_path / f"{number}.tif", stripes.astype(np.uint16))
    rows = parted(SHIPPED, [tmp_path], None, Library())
    assert [(row.source, row.images) for row in rows] == [(str(tmp_path), 3), ("all", 3)]
    assert min(row.area for row in rows) > 0.95


def test_the_area_is_a_half_where_nothing_is_parted_and_turns_round():
    one, two = np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0])
    assert area_under_roc(one, one) == 0.5
    assert area_under_roc(one, two) == pytest.approx(1 - area_under_roc(two, one))
    assert area_under_roc(one, one + 10) == 1.0


def test_every_network_that_ships_has_statistics_of_its_own_weights():
    library = Library()
    missing = [
        each
        for each in library.ids()
        if not read_statistics(library.path(each), library.card(each).weights_sha256)
    ]
    assert missing == []


def test_statistics_of_other_weights_are_none_and_damaged_ones_are_refused(tmp_path):
    vectors = tuple(tuple(float(n + k) for k in range(len(FEATURES))) for n in range(8))
    one = TrainingStatistics(
        network="x", weights_sha256="1" * 64, source="here", features=FEATURES, values=vectors
    )
    write_statistics(tmp_path, one)
    assert read_statistics(tmp_path, "1" * 64) == one
    assert read_statistics(tmp_path, "2" * 64) is None
    assert read_statistics(tmp_path / "nothing", "1" * 64) is None
    (tmp_path / "training_statistics.json").write_text("{}")
    with pytest.raises(BenchmarkError, match="make them anew"):
        read_statistics(tmp_path, "1" * 64)
