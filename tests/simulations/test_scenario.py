from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from model_library.degradation.operators import Downsample
from model_library.degradation.recipe import Recipe
from model_library.errors import ImageError
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.specimens import SpecimenKind
from model_library.wire.tasks import Denoise, Segment, SuperResolve
from simulations.acquisition import acquire
from simulations.default_fleet import default_scenario
from simulations.errors import ScenarioError
from simulations.micrograph_folders import scenario_of_folder
from simulations.scenario import (
    Micrographs,
    Scenario,
    SiteScenario,
    Specimens,
    Writing,
    digitise,
)
from simulations.stage import magnified, prepared

MAKEFILE = Path(__file__).parents[2] / "Makefile"


def write(path: Path, shape: tuple[int, int], *, seed: int = 0, dtype: type = np.uint8) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(20, 220, shape).astype(dtype)
    path.write_bytes(encode_acquisition(Frame(pixels, pixel_size_nm=5.0)))
    return path


def site(folder: Path, toml: str = "", **arguments: int) -> SiteScenario:
    if toml:
        (folder / "axons" / "site.toml").write_text(toml)
    return scenario_of_folder(folder, seed=0, frames=arguments.get("frames", 60)).sites[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(3):
        write(tmp_path / "axons" / f"image-{number}.tif", (300, 420), seed=number)
    return tmp_path


@pytest.fixture(scope="module")
def fleet() -> dict[str, SiteScenario]:
    return {each.name: each for each in default_scenario(seed=1, frames=10).sites}


def test_make_says_how_many_sites_the_demo_has(fleet: dict[str, SiteScenario]) -> None:
    [line] = [each for each in MAKEFILE.read_text().splitlines() if each.startswith("demo:")]

    assert line.endswith("one coordinator, six microscopes, six sites")
    assert len(fleet) == 6


def test_default_fleet_is_a_cohort_of_four_and_two_others(fleet: dict[str, SiteScenario]) -> None:
    cohort = [name for name, each in fleet.items() if each.task == Denoise()]

    assert cohort == ["cortex", "cerebellum", "retina", "archive"]
    assert [name for name in cohort if not fleet[name].federates] == ["archive"]
    assert max(fleet[name].pixel_size_nm or 0 for name in cohort) < 2 * 3.5
    assert fleet["particles"].task == SuperResolve(scale=2)
    assert fleet["tissue"].task == Segment(classes=("background", "membrane"))
    assert {acquire(each, 0, 1).frame.pixels.dtype.name for each in fleet.values()} == {"uint8", "uint16"}
    assert {each.writing for each in fleet.values()} == set(Writing)


def test_one_microscope_loses_dose_half_way(fleet: dict[str, SiteScenario]) -> None:
    (name,) = [name for name, each in fleet.items() if each.change is not None]
    retina = fleet[name]
    assert retina.change is not None

    residuals = []
    for number in (0, retina.change.at_frame - 1, retina.change.at_frame):
        seen = acquire(retina, number, 1)
        assert seen.truth is not None
        signal = seen.truth.pixels - 4000
        residuals.append(float(((seen.frame.grey - seen.truth.pixels) ** 2).mean() / signal.mean()))

    assert retina.frames == 14
    assert residuals[1] == pytest.approx(residuals[0], rel=0.1)
    assert residuals[2] == pytest.approx(residuals[0] * 44 / 10, rel=0.1)


def test_sites_of_one_tissue_never_look_at_the_same_place(fleet: dict[str, SiteScenario]) -> None:
    sharing = [each for each in fleet.values() if isinstance(each.source, Specimens) and each.source.section]
    truths = []
    for site in sharing:
        for number in (0, 1, site.frames - 1):
            truth = acquire(site, number, 1).truth
            assert truth is not None
            truths.append(truth.pixels)

    assert [each.name for each in sharing] == ["cortex", "cerebellum", "retina", "archive"]
    for number, one in enumerate(truths):
        assert all(abs(np.corrcoef(one.ravel(), other.ravel())[0, 1]) < 0.5 for other in truths[:number])


def test_change_needs_frames_before_and_after_and_a_degradation(fleet: dict[str, SiteScenario]) -> None:
    retina = fleet["retina"]
    for changes, told in (({"frames": 7}, "before the last of 7 frames"), ({"recipe": None}, "can change")):
        with pytest.raises(ValidationError, match=told):
            SiteScenario.model_validate({**retina.model_dump(), **changes})


def test_magnified_structures_are_the_same_but_larger() -> None:
    small = magnified(SpecimenKind.CELLS, 128, 1, np.random.default_rng(4))
    large = magnified(SpecimenKind.CELLS, 381, 3, np.random.default_rng(4))

    pixels = large.intensity
    assert pixels.shape == (381, 381)
    assert (pixels.dtype, float(pixels.min()) >= 0, float(pixels.max()) <= 1) == (np.float32, True, True)
    # Pixel 1 + 3k of the enlarged image lies on pixel k of the other.
    np.testing.assert_allclose(pixels[1::3, 1::3], small.intensity[:127, :127], atol=1e-5)
    np.testing.assert_array_equal(large.labels["membrane"][1::3, 1::3], small.labels["membrane"][:127, :127])
    share, larger_share = (float(each["membrane"].mean()) for each in (small.labels, large.labels))
    assert larger_share == pytest.approx(share, rel=0.1)


def test_stained_structure_is_dark_on_every_specimen(fleet: dict[str, SiteScenario]) -> None:
    for number in range(6):
        seen = acquire(fleet["tissue"], number, 1)
        assert seen.truth is not None
        inside = seen.truth.pixels == 1
        assert 0 < inside.mean() < 0.5
        assert seen.frame.grey[~inside].mean() - seen.frame.grey[inside].mean() > 0.05 * 120
    source = Specimens(specimen=SpecimenKind.CELLS, frame_px=64, stained="dragon")
    with pytest.raises(ScenarioError, match="expected cells with dark dragon, found none"):
        prepared(source, 64, np.random.default_rng(0))


def test_class_numbers_are_those_of_the_task(fleet: dict[str, SiteScenario]) -> None:
    tissue = fleet["tissue"]
    swapped = tissue.model_copy(update={"task": Segment(classes=("background", "mitochondrion", "membrane"))})

    (two, three) = (acquire(each, 0, 1).truth for each in (tissue, swapped))

    assert two is not None
    assert three is not None
    np.testing.assert_array_equal(two.pixels == 1, three.pixels == 2)
    odd = tissue.model_copy(update={"task": Segment(classes=("background", "dragon"))})
    with pytest.raises(ScenarioError, match=r"expected classes among membrane, .*found 'dragon'"):
        acquire(odd, 0, 1)


def test_scenario_survives_the_way_through_a_file(folder: Path) -> None:
    for scenario in (default_scenario(3, 10), scenario_of_folder(folder, seed=3, frames=10)):
        assert Scenario.model_validate_json(scenario.model_dump_json()) == scenario


def test_frames_depend_on_seed_and_number_and_on_nothing_else() -> None:
    cortex = default_scenario(seed=1, frames=6).sites[0]

    again, other_seed, other_number = acquire(cortex, 2, 1), acquire(cortex, 2, 9), acquire(cortex, 3, 1)

    np.testing.assert_array_equal(acquire(cortex, 2, 1).frame.pixels, again.frame.pixels)
    assert not np.array_equal(again.frame.pixels, other_seed.frame.pixels)
    assert not np.array_equal(again.frame.pixels, other_number.frame.pixels)


def test_stage_comes_back_to_every_field_with_an_overlapping_view() -> None:
    site = default_scenario(seed=1, frames=6).sites[0]
    cortex = site.model_copy(
        update={"source": site.source.model_copy(update={"frames_per_field": 2, "section": None})}
    )

    frames = [acquire(cortex, number, 1) for number in range(6)]

    assert [frame.frame.field for frame in frames[:3]] == [frame.frame.field for frame in frames[3:]]
    assert len({frame.frame.field for frame in frames}) == 3
    first, second = frames[0].truth, frames[3].truth
    assert first is not None
    assert second is not None
    margin = 320 // 4
    np.testing.assert_array_equal(first.pixels[margin:, margin:], second.pixels[:-margin, :-margin])


def test_truth_is_what_a_noise_free_detector_counts(fleet: dict[str, SiteScenario]) -> None:
    seen = acquire(fleet["cortex"], 0, 1)
    fine = acquire(fleet["particles"], 0, 1)

    assert seen.truth is not None
    assert fine.truth is not None
    difference = seen.frame.grey - seen.truth.pixels
    assert abs(float(difference.mean())) < 0.01 * float(seen.truth.pixels.mean())
    assert float(difference.std()) > 1000
    assert fine.truth.pixels.shape == tuple(2 * side for side in fine.frame.pixels.shape)
    assert fine.truth.pixel_size_nm == pytest.approx((fine.frame.pixel_size_nm or 0) / 2)


def test_scale_of_task_and_degradation_must_agree() -> None:
    with pytest.raises(ValidationError, match="samples 1 times coarser"):
        SiteScenario(
            name="odd",
            task=Denoise(),
            source=Specimens(specimen="cells", frame_px=64),
            recipe=Recipe(operators=(Downsample(scale=2), digitise(8))),
            frames=1,
            told="",
        )


def test_folder_without_site_toml_is_clean_micrographs_that_get_degraded(folder: Path) -> None:
    found = site(folder)

    assert found.task == Denoise()
    assert found.recipe is not None
    assert "taken as clean; the microscope degrades them" in found.told
    assert found.pixel_size_nm == 5.0
    assert found.frames == 3


def test_site_toml_is_obeyed(folder: Path) -> None:
    found = site(
        folder,
        'task = "super-resolve-x2"\npixel_size_nm = 7\ndose = 90\nframe_px = 100\nframes = 5\nbits = 16\n',
    )

    assert found.task == SuperResolve(scale=2)
    assert found.pixel_size_nm == 14.0
    assert found.frames == 5
    acquired = acquire(found, 4, 0)
    assert acquired.frame.pixels.shape == (100, 100)
    assert acquired.frame.pixels.dtype == np.uint16
    assert acquired.truth is not None
    assert acquired.truth.pixels.shape == (200, 200)


def test_degradation_can_be_named_or_listed_or_none(folder: Path) -> None:
    named = site(folder, 'degradation = "stem-fast-scan"')
    listed = site(folder, '[[degradation]]\nkind = "read_noise"\nsigma = 0.1\n')
    as_acquired = site(folder, 'degradation = "none"')

    assert "stem-fast-scan" in named.told
    assert "read noise" in listed.told
    assert as_acquired.recipe is None
    assert acquire(as_acquired, 0, 0).truth is None


def test_a_quarter_of_a_micrograph_is_a_field_and_fields_take_turns(folder: Path) -> None:
    source = site(folder, "frame_px = 140").source

    assert isinstance(source, Micrographs)
    quarters = [f"{row}-{column}" for row in ("upper", "lower") for column in ("left", "right")]
    fields = [f"image-{number}-{quarter}" for number in range(3) for quarter in quarters]
    assert [crop.field for crop in source.crops[:12]] == fields
    assert len(source.crops) == 3 * 2 * 3


def test_neighbouring_slices_share_a_field_and_fields_lie_apart(tmp_path: Path) -> None:
    tifffile = pytest.importorskip("tifffile")
    (tmp_path / "stack").mkdir()
    slices = np.random.default_rng(0).integers(0, 255, (35, 120, 120)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "stack" / "volume.tif", slices, photometric="minisblack")

    source = scenario_of_folder(tmp_path, seed=0, frames=60).sites[0].source

    assert isinstance(source, Micrographs)
    pages = {
        field: [crop.page for crop in source.crops if crop.field == field]
        for field in ("volume-run0", "volume-run1")
    }
    assert pages == {"volume-run0": list(range(10)), "volume-run1": list(range(20, 30))}
    page = source.crops[1].page
    assert page == 20
    truth = acquire(scenario_of_folder(tmp_path, seed=0, frames=60).sites[0], 1, 0).truth
    assert truth is not None
    assert np.corrcoef(truth.pixels.ravel(), slices[page].ravel())[0, 1] > 0.999999


def test_with_truth_files_are_taken_as_acquired(folder: Path) -> None:
    for number in range(3):
        write(folder / "axons" / "truth" / f"image-{number}.tif", (300, 420), seed=100 + number)

    found = site(folder, "frame_px = 128")
    acquired = acquire(found, 0, 0)

    assert "taken as they are" in found.told
    assert found.recipe is None
    assert acquired.truth is not None
    assert acquired.frame.pixels.dtype == np.uint8
    assert acquired.truth.pixels.shape == acquired.frame.pixels.shape


def test_site_that_segments_brings_masks(folder: Path) -> None:
    toml = 'task = "segment:background,axon"\nfederate = false\nframe_px = 140\n'
    with pytest.raises(ScenarioError, match=r"expected masks in .*labels .*add them, or choose denoise"):
        site(folder, toml)
    for number in range(3):
        mask = np.zeros((300, 420), np.uint8)
        mask[:50, :70] = 255
        path = folder / "axons" / "labels" / f"image-{number}.tif"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(encode_acquisition(Frame(mask)))

    found = site(folder, toml)
    acquired = acquire(found, 0, 0)

    assert found.task == Segment(classes=("background", "axon"))
    assert not found.federates
    assert "simulated annotator" in found.told
    assert "takes no part" in found.told
    assert acquired.truth is not None
    assert (acquired.truth.pixels.dtype, acquired.truth.pixels.sum()) == (np.uint8, 50 * 70)
    assert acquired.frame.pixels.dtype == np.uint8


def test_site_toml_lets_the_dose_change(folder: Path) -> None:
    found = site(folder, "dose = 40\nframe_px = 140\n[change]\nat = 0.5\ndose = 8\n")

    assert found.change is not None
    assert found.change.at_frame == found.frames // 2 == 9
    assert "from frame 10 on the dose is 8 electrons per pixel" in found.told
    assert found.recipe_at(8) == found.recipe
    assert found.recipe_at(9) == found.change.recipe != found.recipe


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ('degradation = "none"\n[change]\nat = 0.5\ndose = 8\n', r"expected a dose .*its \[change\] asks"),
        ("task = ", "expected TOML in .*site.toml, found"),
        ("dosis = 3", "expected the keys task, .* in .*site.toml, found at 'dosis'.*remove that line"),
        ('task = "dream"', r"site.toml: expected a task .*found 'dream'; correct"),
        ('degradation = "mud"', "expected a degradation among none, .*site.toml, found 'mud'; choose"),
        (
            'degradation = "sem-coarse-x4"',
            "expected a degradation that samples 1 times coarser.*found 4 times",
        ),
        ("dose = -1", "site.toml, found at 'dose'"),
    ],
)
def test_refused_site_toml_is_named_with_a_remedy(folder: Path, toml: str, told: str) -> None:
    with pytest.raises(ScenarioError, match=told):
        site(folder, toml)


def test_refused_folders_are_named_with_a_remedy(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ScenarioError, match="give --images an existing folder"):
        scenario_of_folder(tmp_path / "absent", seed=0, frames=3)
    (folder / "empty").mkdir()
    with pytest.raises(ScenarioError, match=r"expected images .*empty, found none; put micrographs there"):
        scenario_of_folder(folder, seed=0, frames=3)
    write(folder / "empty" / "tiny.tif", (40, 40))
    with pytest.raises(ScenarioError, match=r"at least 96 px in .*empty"):
        scenario_of_folder(folder, seed=0, frames=3)
    (folder / "empty" / "tiny.tif").write_text("not an image")
    with pytest.raises(ImageError, match=r"tiny\.tif"):
        scenario_of_folder(folder, seed=0, frames=3)


def test_missing_truth_is_refused(folder: Path) -> None:
    write(folder / "axons" / "truth" / "image-0.tif", (300, 420))
    with pytest.raises(ScenarioError, match=r"expected the truth of .*image-1.tif"):
        site(folder)


def test_folder_of_no_sites_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="one sub-folder per site"):
        scenario_of_folder(tmp_path, seed=0, frames=3)
