from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmark.baselines import classical
from benchmark.cases import Case, Truth
from benchmark.metrics import Metric
from model_library.images.frame import Frame, Grey
from model_library.images.writers import encode_acquisition
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise, Segment, SuperResolve
from simulations.holdout import held_out
from simulations.journal import Acquisition
from simulations.truth_scores import Untreated, cases_without_truth, score_pair, score_site, truth_cases


class Planted:
    """A method whose error is known: the truth plus noise of a given strength."""

    scale = 1

    def __init__(self, name: str, sigma: float, truths: list[Grey]) -> None:
        self.ref = ClassicalRef(id=name)
        self._sigma = sigma
        self._truths = truths
        self._rng = np.random.default_rng(1)
        self._calls = 0

    def __call__(self, pixels: Grey) -> Grey:
        truth = self._truths[self._calls % len(self._truths)]
        self._calls += 1
        return truth + self._rng.normal(0, self._sigma, truth.shape).astype(np.float32)


def acquisition(number: int, field: str) -> Acquisition:
    return Acquisition(
        number=number, name=f"f{number}.tif", field=field, pixels=1, session=0, written_at=0.0, has_truth=True
    )


@pytest.fixture
def truths() -> list[Grey]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0, 100, (64, 64)).astype(np.float32) for _ in range(5)]


@pytest.fixture
def cases(truths: list[Grey]) -> list[Case]:
    rng = np.random.default_rng(2)
    return [
        Case(
            f"field-{number}",
            f"f{number}",
            truth + rng.normal(0, 20, truth.shape).astype(np.float32),
            Truth(truth, 100.0),
        )
        for number, truth in enumerate(truths)
    ]


def test_scores_are_the_planted_ones(cases: list[Case], truths: list[Grey]) -> None:
    found = score_site(
        cases,
        final=Planted("final", 1.0, truths),
        first=Planted("first", 2.0, truths),
        rivals=[Planted("weak", 10.0, truths), Planted("strong", 4.0, truths)],
        task=Denoise(),
        seed=0,
    )

    assert found.mean("final") == pytest.approx(40.0, abs=0.1)
    assert found.mean("untreated") == pytest.approx(20 * np.log10(100 / 20), abs=0.2)
    assert found.best_classical == "strong"
    assert found.difference is not None
    assert found.difference.difference == pytest.approx(20 * np.log10(4), abs=0.2)
    assert found.difference.ci95[0] > 0
    assert found.difference_to_first is not None
    assert found.difference_to_first.difference == pytest.approx(20 * np.log10(2), abs=0.2)
    assert (found.mean("final", Metric.SSIM) or 0) > (found.mean("weak", Metric.SSIM) or 0)


def test_method_in_service_may_itself_be_the_best_classical(cases: list[Case], truths: list[Grey]) -> None:
    assigned = Planted("gaussian", 3.0, truths)

    found = score_site(cases, final=assigned, first=assigned, rivals=[assigned], task=Denoise(), seed=0)

    assert found.best_classical == found.final == "gaussian"
    assert found.difference is not None
    assert found.difference.ci95 == (0.0, 0.0)


def test_one_field_allows_no_interval_and_none_no_score(cases: list[Case], truths: list[Grey]) -> None:
    final, rival = Planted("final", 1.0, truths), Planted("rival", 2.0, truths)

    one = score_site(cases[:1], final=final, first=None, rivals=[rival], task=Denoise(), seed=0)
    none = score_site([], final=final, first=None, rivals=[rival], task=Denoise(), seed=0)

    assert one.difference is None
    assert one.mean("final") is not None
    assert (none.frames, none.mean("final"), none.best_classical) == (0, None, None)


def test_untreated_is_the_frame_itself_or_its_bicubic_enlargement() -> None:
    pixels = np.random.default_rng(0).uniform(0, 9, (32, 40)).astype(np.float32)

    np.testing.assert_array_equal(Untreated(Denoise())(pixels), pixels)
    task = SuperResolve(scale=2)
    np.testing.assert_array_equal(
        Untreated(task)(pixels), classical(ClassicalRef(id="bicubic"), task)(pixels)
    )


def test_frames_of_tuning_and_gate_are_never_scored() -> None:
    frames = [acquisition(number, f"field-{number % 4}") for number in range(12)]

    chosen = held_out(frames, {"stage:field-0", "stage:field-2"}, limit=5)

    assert [frame.number for frame in chosen] == [1, 3, 5, 7, 9]
    assert held_out(frames, {f"stage:field-{number}" for number in range(4)}, limit=5) == ()


def test_every_field_comes_before_a_second_frame_of_any() -> None:
    frames = [acquisition(0, "a"), acquisition(1, "a"), acquisition(2, "b"), acquisition(3, "c")]

    assert [frame.number for frame in held_out(frames, set(), limit=3)] == [0, 2, 3]


def test_cases_pair_frames_with_their_truth(tmp_path: Path) -> None:
    for folder in ("acquired", "truth"):
        (tmp_path / folder).mkdir()
    seen = np.full((64, 64), 7, np.uint8)
    truth = np.linspace(0, 50, 64 * 64, dtype=np.float32).reshape(64, 64)
    (tmp_path / "acquired" / "f0.tif").write_bytes(encode_acquisition(Frame(seen)))
    (tmp_path / "truth" / "f0.tif").write_bytes(encode_acquisition(Frame(truth)))

    (case,) = truth_cases([acquisition(0, "a")], tmp_path / "acquired", tmp_path / "truth", Denoise())

    assert isinstance(case.reference, Truth)
    assert case.reference.data_range == pytest.approx(50.0)
    np.testing.assert_array_equal(case.reference.pixels, truth)
    np.testing.assert_array_equal(case.input, seen.astype(np.float32))


def test_without_truth_frames_are_scored_by_a_repeat(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    frames = [acquisition(number, f"field-{number}") for number in range(3)]
    for frame in frames:
        pixels = rng.poisson(np.linspace(20, 120, 128)[None, :], (128, 128)).astype(np.uint8)
        (tmp_path / frame.name).write_bytes(encode_acquisition(Frame(pixels)))

    cases = cases_without_truth(frames, tmp_path, seed=0)
    smooth = classical(ClassicalRef(id="gaussian", parameters={"sigma_px": 2.0}), Denoise())
    found = score_site(cases, final=smooth, first=None, rivals=[], task=Denoise(), seed=0)

    assert found.metric is Metric.PSNR_REPEAT
    assert (found.mean("gaussian") or 0) > (found.mean("untreated") or 0)


class Masking:
    """A segmentation that misses the first rows of every object."""

    scale = 1

    def __init__(self, name: str, missed_rows: int, mask: NDArray[np.bool_]) -> None:
        self.ref = ClassicalRef(id=name)
        self._found = mask.copy()
        self._found[:missed_rows] = False

    def __call__(self, pixels: Grey) -> Grey:
        return self._found.astype(np.float32)


def test_segmentation_is_scored_by_dice_against_the_true_masks(tmp_path: Path) -> None:
    task = Segment(classes=("background", "cell"))
    mask = np.ones((64, 64), np.uint8)
    frames = [acquisition(number, f"field-{number}") for number in range(3)]
    for folder in ("acquired", "truth"):
        (tmp_path / folder).mkdir()
        for frame in frames:
            (tmp_path / folder / frame.name).write_bytes(encode_acquisition(Frame(mask)))
    cases = truth_cases(frames, tmp_path / "acquired", tmp_path / "truth", task)
    whole, half = Masking("whole", 0, mask > 0), Masking("half", 32, mask > 0)

    found = score_site(cases, final=whole, first=None, rivals=[half], task=task, seed=0)

    assert found.metric is Metric.DICE
    assert found.mean("whole") == 1.0
    assert found.mean("half") == pytest.approx(2 / 3)
    assert found.mean("untreated") is None
    assert found.difference is not None
    assert found.difference.difference == pytest.approx(1 / 3)


def test_pair_is_after_minus_before(cases: list[Case], truths: list[Grey]) -> None:
    before, after = Planted("before", 4.0, truths), Planted("after", 2.0, truths)

    found = score_pair(cases, before=before, after=after, task=Denoise(), seed=0)
    same = score_pair(cases, before=before, after=before, task=Denoise(), seed=0)

    assert found.difference is not None
    assert found.difference.difference == pytest.approx(20 * np.log10(2), abs=0.2)
    assert (found.frames, found.fields) == (5, 5)
    assert same.difference is not None
    assert same.difference.ci95 == (0.0, 0.0)
    assert score_pair([], before=before, after=after, task=Denoise(), seed=0).difference is None
