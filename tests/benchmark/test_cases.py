"""Cases and scores: references, crops, failures that become missing scores."""

import numpy as np
import pytest

from benchmark.baselines import classical, classical_methods, tune
from benchmark.cases import CEILING_DB, Case, Labels, Repeat, Truth, repeat_cases, score
from benchmark.errors import BenchmarkError, UnusableResult
from benchmark.evaluate import evaluate, evaluate_all
from benchmark.metrics import Metric
from model_library.degradation.noise import NoiseModel
from model_library.errors import WeightsError
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.tasks import Denoise

NOISE = NoiseModel(0.0, 15.0**2)


def images(count=4, shape=(90, 120)):
    y, x = np.mgrid[: shape[0], : shape[1]]
    truth = (200 + 80 * np.sin(x / 9) * np.cos(y / 13)).astype(np.float32)
    rng = np.random.default_rng(5)
    return truth, [
        (f"f{number}", (truth + rng.normal(0, 15, shape)).astype(np.float32)) for number in range(count)
    ]


class Fixed:
    scale = 1

    def __init__(self, version, restore):
        self.ref = NetworkRef(id="net", version=version, weights_sha256="0" * 64)
        self.restore = restore

    def __call__(self, pixels):
        return self.restore(pixels)


def test_equal_seeds_give_equal_cases_and_crops_lie_inside():
    _, acquired = images()
    a, b = (repeat_cases(acquired, NOISE, np.random.default_rng(3), 64) for _ in "ab")
    assert all(np.array_equal(x.input, y.input) for x, y in zip(a, b, strict=True))
    assert {case.input.shape for case in a} == {(64, 64)}
    assert [case.field for case in a] == ["f0", "f1", "f2", "f3"]


def test_a_super_resolved_result_is_scored_after_binning_to_the_instruments_sampling():
    _, acquired = images()
    for case in repeat_cases(acquired, NOISE, np.random.default_rng(3), 64):
        assert isinstance(case.reference, Repeat)
        enlarged = np.repeat(np.repeat(case.input, 2, axis=0), 2, axis=1)
        plain, finer = (score(each, case.reference, Metric.PSNR_REPEAT) for each in (case.input, enlarged))
        assert finer == pytest.approx(plain, abs=1e-4)
        with pytest.raises(UnusableResult):
            score(enlarged[:-1], case.reference, Metric.PSNR_REPEAT)


def test_small_images_are_taken_whole():
    _, acquired = images()
    assert repeat_cases(acquired, NOISE, np.random.default_rng(3), 500)[0].input.shape == (90, 120)


def test_without_truth_methods_rank_as_with_truth():
    truth, acquired = images(6)
    judged = repeat_cases(acquired, NOISE, np.random.default_rng(3), 500)
    known = [Case(case.field, case.name, case.input, Truth.of(truth)) for case in judged]
    methods = [
        classical(ClassicalRef(id="gaussian", parameters={"sigma_px": sigma}), Denoise())
        for sigma in (0.4, 0.8, 1.5, 3.0, 6.0)
    ]
    orders = []
    for cases in (judged, known):
        means = [evaluate([method], cases).mean("gaussian") for method in methods]
        orders.append(sorted(range(5), key=means.__getitem__))
    assert orders[0] == orders[1]


def test_tuning_without_truth_comes_close_to_tuning_with_it():
    truth, acquired = images(6)
    judged = repeat_cases(acquired, NOISE, np.random.default_rng(3), 500)
    known = [Case(case.field, case.name, case.input, Truth.of(truth)) for case in judged]
    family = classical_methods(Denoise())[0]
    blind, seeing = tune(family, judged), tune(family, known)
    scores = [evaluate([method], known).mean("gaussian") for method in (blind, seeing)]
    assert scores[0] > scores[1] - 0.1


def test_a_metric_needs_its_reference():
    truth = np.zeros((20, 20), np.float32)
    with pytest.raises(BenchmarkError, match="labels reference"):
        score(truth, Labels(truth > 0), Metric.PSNR)
    with pytest.raises(BenchmarkError, match="truth reference"):
        score(truth, Truth.of(truth), Metric.PSNR_REPEAT)


def test_wrong_shape_is_unusable_and_nan_has_no_score():
    reference = Truth.of(np.arange(400, dtype=np.float32).reshape(20, 20))
    with pytest.raises(UnusableResult, match=r"\(20, 20\), found \(19, 20\)"):
        score(reference.pixels[1:], reference, Metric.PSNR)
    assert np.isnan(score(reference.pixels * np.nan, reference, Metric.PSNR))
    assert score(reference.pixels, reference, Metric.PSNR) == CEILING_DB


def test_failures_become_missing_scores_with_their_reason():
    truth, acquired = images(2)
    cases = [Case(field, field, pixels, Truth.of(truth)) for field, pixels in acquired]

    def broken(_):
        raise WeightsError("expected finite weights, found NaN")

    scores = evaluate([Fixed("1", broken), Fixed("2", lambda p: p), Fixed("3", lambda p: p * np.nan)], cases)
    assert scores.values["net@1"] == (None, None)
    assert scores.values["net@3"] == (None, None)
    assert scores.mean("net@1") is None
    assert scores.mean("net@2") > 20
    assert "expected finite weights, found NaN" in scores.failures["net@1"]
    assert set(scores.failures) == {"net@1", "net@3"}


def test_scores_survive_json():
    truth, acquired = images(2)
    cases = [Case(field, field, pixels, Truth.of(truth)) for field, pixels in acquired]
    scores = evaluate([Fixed("1", lambda p: p), Fixed("2", lambda p: p * np.nan)], cases)
    assert type(scores).model_validate_json(scores.model_dump_json()) == scores


def test_several_metrics_run_each_method_once_per_case():
    truth, acquired = images(2)
    cases = [Case(field, field, pixels, Truth.of(truth)) for field, pixels in acquired]
    calls = []
    method = Fixed("1", lambda pixels: calls.append(1) or pixels)
    found = evaluate_all([method], cases, (Metric.PSNR, Metric.SSIM, Metric.NRMSE))
    assert len(calls) == 2
    assert set(found) == {Metric.PSNR, Metric.SSIM, Metric.NRMSE}


def test_no_cases_and_two_methods_of_one_name_are_refused():
    truth, acquired = images(1)
    cases = [Case("f", "f", acquired[0][1], Truth.of(truth))]
    with pytest.raises(BenchmarkError, match="at least one case"):
        evaluate([Fixed("1", lambda p: p)], [])
    with pytest.raises(BenchmarkError, match="different names"):
        evaluate([Fixed("1", lambda p: p)] * 2, cases)
