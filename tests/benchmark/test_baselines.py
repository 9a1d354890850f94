"""One contract for every classical method; tuning finds parameters that carry over."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from benchmark import compiled
from benchmark.baselines import ClassicalMethod, Family, classical, classical_methods, tune
from benchmark.baselines.threshold import THRESHOLDS
from benchmark.baselines.total_variation import total_variation
from benchmark.baselines.watershed import WATERSHED, WATERSHED_LINES
from benchmark.cases import Case, Labels, Truth
from benchmark.errors import BenchmarkError, UnknownMethod
from benchmark.evaluate import evaluate
from model_library.degradation.operators import block_mean
from model_library.errors import NonFinitePixels
from model_library.wire.methods import ClassicalRef
from model_library.wire.tasks import Denoise, Segment, SuperResolve

TASKS = [Denoise(), SuperResolve(scale=2), SuperResolve(scale=3), Segment(classes=("background", "object"))]
GREY = [(task, family) for task in TASKS[:3] for family in classical_methods(task)]
EVERY = [(task, family) for task in TASKS for family in classical_methods(task)]
NOTHING = Family("nothing", lambda pixels, parameters, scale: pixels, {}, {})


def name(value):
    match value:
        case Family():
            return value.id
        case float():
            return f"growth-{value:.0f}"
        case _:
            return f"{value.kind}-x{value.scale}"


def specimen(seed, side=96):
    """Blobs with sharp borders, in unit intensity."""
    rng = np.random.default_rng(seed)
    field = gaussian_filter(rng.standard_normal((side, side)), 6, mode="wrap")
    field /= field.std()
    return (0.3 + 0.4 * (field > 0.3) + 0.05 * field).astype(np.float32)


def acquired(seed, sigma, side=96, scale=1):
    rng = np.random.default_rng([seed, 1])
    truth = (1000 + 4000 * specimen(seed, side)).astype(np.float32)
    coarse = block_mean(truth, scale) if scale > 1 else truth
    noisy = coarse + 4000 * sigma * rng.standard_normal(coarse.shape, dtype=np.float32)
    return Case(f"f{seed}", f"{seed}", noisy.astype(np.float32), Truth.of(truth))


@pytest.mark.parametrize(("task", "family"), EVERY, ids=name)
class TestContract:
    def test_shape_dtype_and_input_untouched(self, task, family):
        pixels = acquired(0, 0.1).input[:70, :83]
        before = pixels.copy()
        result = ClassicalMethod(family, family.start, task.scale)(pixels)
        assert result.shape == (70 * task.scale, 83 * task.scale)
        assert result.dtype == np.float32
        assert np.isfinite(result).all()
        assert np.array_equal(pixels, before)

    def test_a_flat_image_gives_no_warning_and_no_nan(self, task, family):
        result = ClassicalMethod(family, family.start, task.scale)(np.full((40, 40), 77, np.float32))
        assert np.isfinite(result).all()
        if not family.labels:
            np.testing.assert_allclose(result, 77, rtol=1e-4)

    def test_nan_is_refused(self, task, family):
        pixels = np.full((40, 40), 7, np.float32)
        pixels[3, 4] = np.nan
        with pytest.raises(NonFinitePixels):
            ClassicalMethod(family, family.start, task.scale)(pixels)

    def test_the_reference_rebuilds_the_method(self, task, family):
        method = ClassicalMethod(family, family.start, task.scale)
        again = classical(ClassicalRef.model_validate_json(method.ref.model_dump_json()), task)
        pixels = acquired(1, 0.1).input
        assert again.ref == method.ref
        assert np.array_equal(again(pixels), method(pixels))

    def test_tuning_starts_on_the_grid(self, task, family):
        assert set(family.start) == set(family.grid)
        for key, values in family.grid.items():
            assert family.start[key] in values
            assert list(values) == sorted(values)


GROWING = [(task, family, 3.0) for task, family in GREY if "growth" in family.grid]


@pytest.mark.parametrize(("task", "family", "growth"), [*((*pair, 0.0) for pair in GREY), *GROWING], ids=name)
def test_gain_and_offset_of_the_counts_are_those_of_the_result(task, family, growth):
    parameters = {key: growth if key == "growth" else value for key, value in family.start.items()}
    method = ClassicalMethod(family, parameters, task.scale)
    pixels = acquired(2, 0.1).input
    expected = 3.5 * method(pixels) - 800
    found = method(np.float32(3.5) * pixels - np.float32(800))
    assert np.abs(found - expected).max() <= 1e-3 * np.ptp(expected)


@pytest.mark.parametrize("family", classical_methods(Denoise()), ids=name)
def test_tuned_parameters_carry_over_to_other_images(family):
    tuning = [acquired(seed, 0.12) for seed in range(3)]
    others = [acquired(seed, 0.12) for seed in range(10, 14)]
    tuned, best_there = tune(family, tuning), tune(family, others)
    own, ideal = (evaluate([method], others).mean(family.id) for method in (tuned, best_there))
    raw = evaluate([ClassicalMethod(NOTHING, {})], others).mean("nothing")
    assert own > raw + 2.5
    assert own > ideal - 0.25


@pytest.mark.parametrize(
    "family", [one for one in classical_methods(Denoise()) if "strength" in one.grid], ids=name
)
def test_a_strength_in_units_of_the_noise_follows_the_noise(family):
    tuned = tune(family, [acquired(seed, 0.08) for seed in range(3)])
    noisier = [acquired(seed, 0.16) for seed in range(10, 13)]
    carried = evaluate([tuned], noisier).mean(family.id)
    ideal = evaluate([tune(family, noisier)], noisier).mean(family.id)
    assert carried > ideal - 1.0


def test_shot_noise_is_noticed_by_tuning():
    def counted(seed):
        truth = (4 * specimen(seed, 128) ** 2).astype(np.float32)
        counts = np.random.default_rng([seed, 1]).poisson(10 * truth).astype(np.float32)
        return Case(f"f{seed}", f"{seed}", counts, Truth.of(10 * truth))

    wavelet = next(family for family in classical_methods(Denoise()) if family.id == "wavelet")
    tuned = tune(wavelet, [counted(seed) for seed in range(3)])
    plain = tune(
        replace(wavelet, grid={**wavelet.grid, "growth": (0.0,)}), [counted(seed) for seed in range(3)]
    )
    others = [counted(seed) for seed in range(10, 13)]
    assert tuned.parameters["growth"] > 0
    assert evaluate([tuned], others).mean("wavelet") > evaluate([plain], others).mean("wavelet") + 0.1


@pytest.mark.parametrize("weight", [0.05, 0.15])
def test_total_variation_reaches_the_energy_of_the_peer(weight):
    from skimage.restoration import denoise_tv_chambolle

    pixels = acquired(0, 0.1).input / np.float32(4000)

    def energy(smooth):
        along_y = np.diff(smooth, axis=0, append=smooth[-1:])
        along_x = np.diff(smooth, axis=1, append=smooth[:, -1:])
        return np.sum((smooth - pixels) ** 2) / 2 + weight * np.sum(np.hypot(along_y, along_x))

    peer = denoise_tv_chambolle(pixels, weight=weight, eps=1e-9, max_num_iter=2000)
    assert energy(total_variation(pixels, weight)) <= 1.01 * energy(peer)


def test_enlarging_keeps_areas_in_place():
    y, x = np.mgrid[:96, :96].astype(np.float32)
    smooth = 100 + 20 * np.sin(x / 9) + 20 * np.cos(y / 11)
    for scale in (2, 3, 4):
        for family in classical_methods(SuperResolve(scale=scale))[:2]:
            result = ClassicalMethod(family, {}, scale)(block_mean(smooth.astype(np.float32), scale))
            inner = slice(12, -12)
            assert np.abs(result - smooth)[inner, inner].max() < 1.0


def test_denoising_before_enlarging_pays_on_noisy_images():
    cases = [acquired(seed, 0.1, side=128, scale=2) for seed in range(3)]
    others = [acquired(seed, 0.1, side=128, scale=2) for seed in range(10, 13)]
    methods = [tune(family, cases, scale=2) for family in classical_methods(SuperResolve(scale=2))]
    scores = evaluate(methods, others)
    assert scores.mean("tv-bicubic") > scores.mean("bicubic") + 2
    assert scores.mean("gaussian-bicubic") > scores.mean("lanczos") + 2


@pytest.mark.parametrize("sign", [1, -1])
def test_thresholds_learn_which_side_is_the_object(sign):
    cases = []
    for seed in range(3):
        truth = specimen(seed)
        noisy = acquired(seed, 0.1).input
        cases.append(Case(f"f{seed}", f"{seed}", sign * noisy, Labels(truth > 0.55)))
    for family in (*THRESHOLDS, WATERSHED):
        tuned = tune(family, cases)
        assert tuned.parameters["bright"] == (sign > 0)
        assert evaluate([tuned], cases).mean(family.id) > 0.9


def ridges(seed, sign, side=96):
    """Walls of a foam, 3 px wide, on a ground whose brightness wanders more than the walls stand out."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(-20, side + 20, (60, 2))
    y, x = np.mgrid[:side, :side]
    away = np.sort(np.hypot(y[..., None] - corners[:, 0], x[..., None] - corners[:, 1]), axis=-1)
    walls = (away[..., 1] - away[..., 0]) < 3
    ground = gaussian_filter(rng.standard_normal((side, side)), 15)
    pixels = 1000 + 400 * (walls + 1.5 * ground / ground.std()) + 40 * rng.standard_normal((side, side))
    return Case(f"f{seed}", f"{seed}", (sign * pixels).astype(np.float32), Labels(walls))


@pytest.mark.parametrize("sign", [1, -1])
def test_watershed_lines_find_walls_that_one_threshold_misses(sign):
    cases, others = ([ridges(seed, sign) for seed in seeds] for seeds in (range(3), range(10, 13)))
    tuned, otsu = tune(WATERSHED_LINES, cases), tune(THRESHOLDS[0], cases)
    assert tuned.parameters["bright"] == (sign > 0)
    found = evaluate([tuned, otsu], others)
    assert found.mean("watershed-lines") > 0.75
    assert found.mean("watershed-lines") > found.mean("otsu") + 0.1


def test_unknown_methods_and_parameters_are_refused():
    with pytest.raises(UnknownMethod, match="gaussian, median"):
        classical(ClassicalRef(id="bm3d"), Denoise())
    with pytest.raises(UnknownMethod, match="bicubic"):
        classical(ClassicalRef(id="tv"), SuperResolve(scale=2))
    with pytest.raises(UnknownMethod, match="radius"):
        classical(ClassicalRef(id="tv", parameters={"radius": 3.0}), Denoise())
    with pytest.raises(UnknownMethod, match="version 2"):
        classical(ClassicalRef(id="tv", version="2"), Denoise())


def test_tuning_without_cases_is_refused():
    with pytest.raises(BenchmarkError, match="none"):
        tune(classical_methods(Denoise())[0], [])


def test_a_site_needs_neither_torch_nor_matplotlib():
    code = (
        "import sys; from benchmark.baselines import classical;"
        "print([name for name in ('torch', 'matplotlib', 'skimage', 'pywt') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("weight", [0.02, 0.1, 0.5])
def test_total_variation_is_the_same_by_compiled_rows(weight, monkeypatch):
    pytest.importorskip("numba")
    pixels = acquired(3, 0.1).input[:50, :61] / np.float32(4000)
    plain = total_variation(pixels, weight)
    monkeypatch.setattr(compiled, "LEAST_PX", 0)
    assert np.array_equal(total_variation(pixels, weight), plain)
