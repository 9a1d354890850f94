"""From files to cases: planted noise of the strength that is claimed, frames that judge, labels in form."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from benchmark.cases import Case, Instances, Labels, OtherFrame, Partition, Truth, score
from benchmark.errors import BenchmarkError
from benchmark.metrics import Metric
from benchmark.real.acquired import degrade
from benchmark.real.build import build_cases
from benchmark.real.frames import shift_onto
from benchmark.real.labels import cells_apart, reference_of
from benchmark.real.sources import AXONS, FIB25_STACK, ISBI, OXIDE, POWDER, Part, Source
from benchmark.real.table import Coarse, Form, Labelled, Pairing, PlantedNoise, RealCase, SecondFrame
from model_library.images.frame import Frame
from model_library.images.raster import encode_png
from model_library.images.writers import encode_acquisition
from model_library.wire.tasks import Denoise, Segment

REPEATS = Source(
    id="repeats", folder="repeats", instrument="a test", terms="MIT", tuning=("*.tif",), scored=("*.tif",)
)


def test_equal_seeds_give_equal_cases_and_parts_differ(superalloy, noise_case):
    a, b = (build_cases(noise_case, superalloy, Part.SCORED, seed=4) for _ in "ab")
    other = build_cases(noise_case, superalloy, Part.SCORED, seed=5)
    assert [case.field for case in a] == ["scored:spot6_0d_0", "scored:spot7_0d_0"]
    for one, same, new in zip(a, b, other, strict=True):
        assert np.array_equal(one.input, same.input)
        assert not np.array_equal(one.input, new.input)
    tuning = build_cases(noise_case, superalloy, Part.TUNING)
    assert len(tuning) == noise_case.tuning_images
    assert not {case.field for case in tuning} & {case.field for case in a}


def test_planted_noise_has_the_variance_that_is_claimed():
    clean = np.repeat(np.linspace(1000, 5000, 8, dtype=np.float32)[:, None], 4000, axis=1)
    how = PlantedNoise(bin=1, electrons_per_pixel=40, read_sigma=0.1)
    acquired, truth = degrade(clean, how, np.random.default_rng(0))
    unit = (truth[1:-1] - 1000) / 4000
    found = ((acquired[1:-1] - truth[1:-1]) / 4000).var(axis=1)
    assert found == pytest.approx(unit.mean(axis=1) / 40 + 0.01, rel=0.08)
    assert np.abs(truth - clean).max() < 10


def test_the_truth_of_a_coarse_image_is_cut_to_whole_pixels_of_it():
    clean = np.random.default_rng(1).uniform(0, 255, (70, 83)).astype(np.float32)
    acquired, truth = degrade(clean, Coarse(scale=4), np.random.default_rng(0))
    assert acquired.shape == (17, 20)
    assert truth.shape == (68, 80)


@pytest.fixture
def repeats(tmp_path):
    """Two frames of a specimen whose truth is known, with noise of 20 counts."""
    rng = np.random.default_rng(3)
    field = gaussian_filter(rng.standard_normal((128, 256)), 6, mode="wrap")
    truth = (1000 + 200 * field / field.std()).astype(np.float32)
    (tmp_path / "repeats").mkdir()
    for name in "ab":
        pixels = np.rint(truth + rng.normal(0, 20, truth.shape)).astype(np.uint16)
        (tmp_path / "repeats" / f"{name}.tif").write_bytes(encode_acquisition(Frame(pixels)))
    return tmp_path, truth


def frames_case(pairing, **terms):
    source = REPEATS.model_copy(update={"divided": True})
    how = SecondFrame(pairing=pairing, **terms)
    return RealCase(name="frames", source=source, task=Denoise(), how=how, crop_px=64, windows=4)


def test_the_risk_by_a_second_frame_is_the_squared_error_against_the_truth(repeats):
    data, truth = repeats
    cases = build_cases(frames_case(Pairing.FILES), data, Part.SCORED)
    assert len(cases) == 8
    assert len({case.field for case in cases}) == 4
    raw, smoothed, actual = [], [], []
    for case in cases:
        assert isinstance(case.reference, OtherFrame)
        span = case.reference.data_range
        raw.append(score(case.input, case.reference, Metric.FRAME_RISK) * span**2)
        blurred = gaussian_filter(case.input, 2)
        smoothed.append(score(blurred, case.reference, Metric.FRAME_RISK) * span**2)
        place = np.argmin([np.abs(truth[y : y + 64, x : x + 64] - blurred).mean() for y, x in PLACES])
        y, x = PLACES[place]
        actual.append(np.mean((blurred - truth[y : y + 64, x : x + 64]) ** 2))
    assert np.mean(raw) == pytest.approx(400, rel=0.1)
    assert np.mean(smoothed) == pytest.approx(np.mean(actual), abs=20)


PLACES = [(y, x) for y in (0, 64) for x in (128, 192)]


def test_drifting_pages_are_moved_onto_each_other(tmp_path):
    import tifffile

    truth = gaussian_filter(np.random.default_rng(0).standard_normal((160, 160)), 2, mode="wrap")
    truth = (1000 + 500 * truth / truth.std()).astype(np.float32)
    pages = np.stack([truth, np.roll(truth, (2, -3), (0, 1)), np.roll(truth, (-5, 7), (0, 1))])
    (tmp_path / "repeats").mkdir()
    tifffile.imwrite(tmp_path / "repeats" / "stack.tif", pages, photometric="minisblack")
    for each in build_cases(frames_case(Pairing.PAGES, drift_px=8), tmp_path, Part.SCORED):
        assert np.array_equal(each.input, each.reference.pixels)
    for each in build_cases(frames_case(Pairing.PAGES), tmp_path, Part.SCORED):
        assert not np.array_equal(each.input, each.reference.pixels)


@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 9))
def test_a_planted_drift_is_found_in_noise(y, x, seed):
    rng = np.random.default_rng(seed)
    truth = gaussian_filter(rng.standard_normal((96, 96)), 2, mode="wrap")
    a, b = (
        (each + truth.std() * rng.standard_normal(truth.shape)).astype(np.float32)
        for each in (truth, np.roll(truth, (-y, -x), (0, 1)))
    )
    assert shift_onto(a, b, 9) == (y, x)


def test_a_long_exposure_is_brought_to_the_grey_scale_of_the_short_one(tmp_path):
    rng = np.random.default_rng(0)
    field = gaussian_filter(rng.standard_normal((64, 128)), 5, mode="wrap")
    clean = 120 + 40 * np.clip(field / field.std(), -2, 2)
    (tmp_path / "repeats").mkdir()
    for name, pixels in (("lowsnr", 0.7 * clean + 30 + rng.normal(0, 15, clean.shape)), ("highsnr", clean)):
        stored = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
        (tmp_path / "repeats" / f"actin_{name}.png").write_bytes(encode_png(stored))
    case = frames_case(Pairing.HIGH_SNR)
    short = case.source.model_copy(update={"scored": ("*_lowsnr.png",), "divided": False})
    (found,) = build_cases(case.model_copy(update={"source": short, "windows": 1}), tmp_path, Part.SCORED)
    assert np.mean(found.reference.pixels - found.input) == pytest.approx(0, abs=2)
    assert score(found.reference.pixels, found.reference, Metric.FRAME_RISK) < 0.01
    (tmp_path / "repeats" / "actin_highsnr.png").unlink()
    with pytest.raises(BenchmarkError, match=r"actin_highsnr\.png"):
        build_cases(case.model_copy(update={"source": short}), tmp_path, Part.SCORED)


def test_cells_are_pieces_of_one_label_and_their_borders_belong_to_none():
    numbers = np.zeros((7, 9), np.int32)
    numbers[:, :4], numbers[:3, 5:], numbers[5:, 5:] = 1, 2, 2
    found = cells_apart(numbers)
    assert found.max() == 3
    assert set(np.unique(found[:, 3:5])) == {0}
    assert found[0, 8] != found[6, 8]


def test_label_numbers_take_the_form_that_is_scored():
    numbers = np.array([[0, 3, 3], [0, 3, 3], [0, 3, 3]], np.int32)
    assert isinstance(mask := reference_of(numbers, Form.MASK), Labels)
    assert mask.mask.sum() == 6
    assert isinstance(reference_of(numbers, Form.OBJECTS), Instances)
    assert isinstance(reference_of(numbers, Form.CELLS), Partition)


def write(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode_png(np.asarray(pixels, dtype=np.uint8)))


def segmentation(source, target, form=Form.MASK):
    task = Segment(classes=("background", target))
    return RealCase(
        name="labels", source=source, task=task, how=Labelled(target=target, form=form), crop_px=64
    )


IMAGE = np.arange(64 * 64).reshape(64, 64) % 251
INSIDE = np.zeros((64, 64), np.uint8)
INSIDE[10:30, 20:50] = 1
CVAT = """<annotations><version>1.1</version>
<image id="0" name="Sc2Tile_a.png" width="64" height="64">
<polygon label="particle" points="5,5;25,5;25,25;5,25" z_order="0"></polygon>
<polygon label="satellite" points="30,30;40,30;40,40" z_order="0"></polygon>
<polygon label="particle" points="20,20;50,20;50,50;20,50" z_order="1"></polygon></image>
<image id="1" name="Sc2Tile_b.png" width="64" height="64"></image></annotations>"""


def axons(data):
    folder = data / AXONS.folder
    write(folder / "sub-rat3/micr/a_SEM.png", IMAGE)
    write(folder / "derivatives/labels/sub-rat3/micr/a_SEM_seg-axon-manual.png", 255 * INSIDE)
    return segmentation(AXONS, "axon"), INSIDE.sum()


def oxide(data):
    name = "021519-3_a.png"
    write(data / OXIDE.folder / "images" / name, IMAGE)
    write(data / OXIDE.folder / "labels" / name, 1 + INSIDE)
    return segmentation(OXIDE, "crack"), INSIDE.sum()


def isbi(data):
    write(data / ISBI.folder / "image/24.png", IMAGE)
    write(data / ISBI.folder / "label/24.png", 255 * (1 - INSIDE))
    return segmentation(ISBI, "membrane", Form.CELLS), 64 * 64


def powder(data):
    for name in "ab":
        write(data / POWDER.folder / f"images/Sc2Tile_{name}.png", IMAGE)
    (data / POWDER.folder / "annotations_cvat.xml").write_text(CVAT)
    return segmentation(POWDER, "particle", Form.OBJECTS), 20 * 20 - 5 * 5 + 30 * 30


@pytest.mark.parametrize("layout", [axons, oxide, isbi, powder], ids=lambda layout: layout.__name__)
def test_labels_are_found_where_each_source_keeps_them(tmp_path, layout):
    case, pixels = layout(tmp_path)
    (found,) = build_cases(case, tmp_path, Part.SCORED)
    assert np.array_equal(found.input, IMAGE.astype(np.float32))
    match found.reference:
        case Labels(mask):
            assert mask.sum() == pixels
        case Instances(labels):
            assert (labels > 0).sum() == pixels
            assert labels.max() == 2
        case Partition(labels):
            assert labels.max() == 1
            assert set(np.unique(labels[10:30, 20:50])) == {0}


def test_for_tuning_the_square_with_most_of_a_rare_target_is_taken(tmp_path):
    labels = np.ones((128, 192), np.uint8)
    labels[70:90, 135:180] = 2
    write(tmp_path / OXIDE.folder / "images/S879_a.png", np.arange(128 * 192).reshape(128, 192) % 251)
    write(tmp_path / OXIDE.folder / "labels/S879_a.png", labels)
    case = segmentation(OXIDE, "crack").model_copy(update={"tuning_px": 64})
    (found,) = build_cases(case, tmp_path, Part.TUNING)
    assert found.reference.mask.sum() == 20 * 45
    assert found.input.shape == (64, 64)


def test_pages_of_a_stack_are_fields_of_their_own(tmp_path):
    import tifffile

    source = FIB25_STACK.model_copy(update={"tuning_pages": (0,), "scored_pages": (2, 3)})
    (tmp_path / source.folder).mkdir()
    volume = np.stack([np.full((64, 64), page, np.uint8) for page in range(4)])
    numbers = np.stack([np.repeat([[1, 2]], 64, axis=0).repeat(32, axis=1)] * 4).astype(np.uint16)
    tifffile.imwrite(tmp_path / source.folder / "raw_z000-119.tif", volume, photometric="minisblack")
    tifffile.imwrite(
        tmp_path / source.folder / "neuron_instances_z000-119.tif", numbers, photometric="minisblack"
    )
    found = build_cases(segmentation(source, "membrane", Form.CELLS), tmp_path, Part.SCORED)
    assert [float(case.input[0, 0]) for case in found] == [2.0, 3.0]
    assert len({case.field for case in found}) == 2
    assert found[0].reference.labels.max() == 2


def test_missing_labels_are_refused_with_the_file(tmp_path):
    case, _ = oxide(tmp_path)
    (tmp_path / OXIDE.folder / "labels/021519-3_a.png").unlink()
    with pytest.raises(BenchmarkError, match="labels/021519-3_a"):
        build_cases(case, tmp_path, Part.SCORED)
    with pytest.raises(BenchmarkError, match="expected a source with labels"):
        build_cases(segmentation(OXIDE.model_copy(update={"id": "else"}), "crack"), tmp_path, Part.SCORED)


def test_a_metric_needs_its_reference():
    numbers = np.ones((40, 40), np.int32)
    frame = OtherFrame(numbers.astype(np.float32), 0.0, 1.0)
    for reference in (frame, Instances(numbers), Partition(numbers), Truth.of(frame.pixels)):
        with pytest.raises(BenchmarkError, match="expected a metric"):
            score(numbers.astype(np.float32), Case("f", "f", frame.pixels, reference).reference, Metric.IOU)
