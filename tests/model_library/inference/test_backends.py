"""One contract for every backend: the numbers are torch's, and windows leave no seams."""

import math
import os
import subprocess
import sys
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pytest
import torch

from model_library.images.tiling import Slices
from model_library.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from model_library.inference.backends.openvino_backend import OpenVinoBackend, openvino_precisions
from model_library.inference.backends.port import Backend, OutOfMemory, Precision, Windows, out_of_memory
from model_library.inference.backends.torch_backend import TorchBackend, torch_precisions
from model_library.inference.engine import geometry_of
from model_library.inference.geometry import Geometry
from model_library.inference.self_ensemble import SelfEnsemble
from model_library.inference.windows import Plane, Tiling, compute, plan
from model_library.networks.build import build
from model_library.networks.config import (
    EDSRConfig,
    MDSRConfig,
    NetworkConfig,
    PSSRUNetConfig,
    ResidualDenoiserConfig,
    UNetConfig,
)
from model_library.networks.folding import fold
from model_library.zoo.exchange.onnx_export import as_onnx

RGB = {"in_channels": 3, "channels": "rgb"}
EXACT: list[NetworkConfig] = [
    UNetConfig(widths=(4, 8, 12), normalisation="batch"),
    UNetConfig(widths=(5, 7), in_channels=5, channels="slices"),
    ResidualDenoiserConfig(depth=4, width=16),
    EDSRConfig(blocks=1, width=8, scale=3, value_range=255, **RGB),
    MDSRConfig(blocks=1, width=8, scales=(2,), scale=2),
    PSSRUNetConfig(blocks=(1, 1), width=4, scale=2, normalisation="batch"),
]
BACKENDS: list[tuple[str, Precision]] = [
    ("torch", "float32"),
    ("torch", "bfloat16"),
    ("onnxruntime", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
]
MOST_ERROR_OVER_STD = 2e-5
LEAST_PSNR_DB = 38.0


class Made(NamedTuple):
    geometry: Geometry
    backend: Callable[[str, Precision], Backend]


@pytest.fixture(scope="module", params=EXACT, ids=lambda config: f"{config.kind}-{config.channels}")
def made(request: pytest.FixtureRequest) -> Made:
    torch.manual_seed(0)
    module, _ = fold(build(request.param).eval())
    geometry = geometry_of(request.param)
    graph = as_onnx(module, image(geometry, (64, 64))[None]).content

    def backend(name: str, precision: Precision) -> Backend:
        native = torch_precisions() if name == "torch" else openvino_precisions()
        if precision not in native:
            pytest.skip(f"this processor has no instructions for {precision}")
        match name:
            case "torch":
                return TorchBackend(module, precision=precision)
            case "onnxruntime":
                return OnnxRuntimeBackend(graph, threads=1)
        return OpenVinoBackend(graph, precision=precision, threads=1)

    return Made(geometry, backend)


def image(geometry: Geometry, shape: tuple[int, int]) -> np.ndarray:
    rng = np.random.default_rng(3)
    y, x = np.mgrid[: shape[0], : shape[1]]
    scene = 0.5 + 0.3 * np.sin(x / 9) * np.cos(y / 13)
    return (scene + rng.normal(0, 0.1, (geometry.in_channels, *shape))).astype(np.float32)


def computed(backend: Backend, geometry: Geometry, pixels: np.ndarray, tiling: Tiling) -> np.ndarray:
    height, width = (side * geometry.scale for side in pixels.shape[1:])
    output = np.full((geometry.out_channels, height, width), np.nan, np.float32)

    def write(part: Slices, result: np.ndarray) -> None:
        output[:, part[0], part[1]] = result

    plane = Plane(pixels.shape[1:], lambda part: pixels[:, part[0], part[1]], write)
    compute(plane, backend, geometry, tiling)
    return output


@pytest.mark.parametrize(("name", "precision"), BACKENDS)
def test_windows_give_bit_for_bit_what_the_whole_image_gives(made: Made, name: str, precision: Precision):
    assert made.geometry.exact
    backend, pixels = made.backend(name, precision), image(made.geometry, (139, 90))
    whole = computed(backend, made.geometry, pixels, Tiling(4096))
    assert np.isfinite(whole).all()
    for tiling in (Tiling(60), Tiling(80, batch=2)):
        assert np.array_equal(computed(backend, made.geometry, pixels, tiling), whole)


@pytest.mark.parametrize("name", ["onnxruntime", "openvino"])
def test_float32_agrees_with_torch(made: Made, name: str):
    pixels = image(made.geometry, (100, 90))
    expected = computed(made.backend("torch", "float32"), made.geometry, pixels, Tiling(4096))
    found = computed(made.backend(name, "float32"), made.geometry, pixels, Tiling(75))
    assert np.abs(found - expected).max() <= MOST_ERROR_OVER_STD * expected.std()


@pytest.mark.parametrize("name", ["torch", "openvino"])
def test_bfloat16_keeps_its_bound(made: Made, name: str):
    pixels = image(made.geometry, (100, 90))
    expected = computed(made.backend("torch", "float32"), made.geometry, pixels, Tiling(4096))
    found = computed(made.backend(name, "bfloat16"), made.geometry, pixels, Tiling(75))
    error = float(np.mean((found - expected) ** 2, dtype=np.float64))
    assert 10 * np.log10(np.ptp(expected) ** 2 / error) >= LEAST_PSNR_DB


SCARCE = """
import resource, sys
import numpy as np
from model_library.inference.backends.onnxruntime_backend import OnnxRuntimeBackend
from model_library.inference.backends.openvino_backend import OpenVinoBackend
from model_library.inference.backends.port import OutOfMemory
from model_library.inference.backends.torch_backend import TorchBackend
from model_library.networks.build import build
from model_library.networks.config import ResidualDenoiserConfig

graph = sys.stdin.buffer.read()
module = build(ResidualDenoiserConfig(depth=3, width=64)).eval()
backends = [
    TorchBackend(module), OnnxRuntimeBackend(graph, threads=1),
    OpenVinoBackend(graph, precision="float32", threads=1),
]
small = np.zeros((1, 1, 32, 32), np.float32)
for backend in backends:
    backend(small)
limit = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize() + (1 << 30)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for backend in backends:
    try:
        backend(np.zeros((1, 1, 4096, 4096), np.float32))
    except OutOfMemory as lack:
        assert "choose a smaller tile" in str(lack)
        print(backend.name, np.isfinite(backend(small)).all())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits of memory are Linux's")
def test_a_window_that_no_memory_holds_is_told_and_smaller_ones_still_go():
    torch.manual_seed(0)
    module = build(ResidualDenoiserConfig(depth=3, width=64)).eval()
    graph = as_onnx(module, np.zeros((1, 1, 16, 16), np.float32)).content
    child = subprocess.run([sys.executable, "-c", SCARCE], input=graph, capture_output=True, timeout=120)
    found = child.stdout.decode().split("\n")
    assert found[:3] == ["torch True", "onnxruntime True", "openvino True"], child.stderr.decode()


@pytest.mark.parametrize(
    "said",
    [
        "Exception from src/inference/src/dev/plugin.cpp:54:\ncan't alloc",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 268435456 bytes",
        "std::bad_alloc",
        "CUDA out of memory. Tried to allocate 2.00 GiB",
    ],
)
def test_what_libraries_say_where_memory_is_short_is_understood(said: str):
    windows = np.zeros((1, 1, 8, 8), np.float32)
    assert out_of_memory(RuntimeError(said), windows) is not None
    assert out_of_memory(RuntimeError("expected 3 channels"), windows) is None


class Scarce:
    """A backend that holds windows of so many pixels."""

    name = "torch"
    precision = "float32"

    def __init__(self, pixels: int, *, elsewhere: bool = False) -> None:
        self.pixels, self.elsewhere = pixels, elsewhere
        self.sides: list[int] = []

    def __call__(self, windows: Windows) -> Windows:
        self.sides.append(windows.shape[2])
        # The fourth window of any run is one too many for the device, once.
        if windows[:, 0].size > self.pixels or len(self.sides) == 4:
            raise OutOfMemory("planted")
        return windows * 2


@pytest.mark.parametrize("elsewhere", [False, True])
def test_where_memory_is_short_the_tile_is_halved_and_nothing_is_computed_twice_but_a_row(elsewhere: bool):
    geometry = Geometry(in_channels=1, out_channels=1, scale=1, stride=4, radius=3, exact=True)
    backend, pixels = Scarce(130 * 130, elsewhere=elsewhere), image(geometry, (1000, 90))
    output = np.full_like(pixels, np.nan)
    told: list[int] = []

    def write(part: Slices, result: np.ndarray) -> None:
        output[:, part[0], part[1]] = result

    plane = Plane((1000, 90), lambda part: pixels[:, part[0], part[1]], write)
    used = compute(plane, backend, geometry, Tiling(512, batch=2), told.append)
    assert np.array_equal(output, pixels * 2)
    assert used.batch == 1
    assert used.tile_px < 256
    assert sorted(set(backend.sides), reverse=True) == list(dict.fromkeys(backend.sides))


def test_what_does_not_fit_in_the_smallest_windows_is_a_refusal():
    geometry = Geometry(in_channels=1, out_channels=1, scale=1, stride=4, radius=3, exact=True)
    with pytest.raises(OutOfMemory, match="planted"):
        computed(Scarce(0), geometry, image(geometry, (64, 64)), Tiling(512))


@pytest.mark.parametrize("shape", [(2048, 2048), (4096, 1000), (777, 513), (300, 100_000), (5, 9)])
def test_the_windows_of_an_image_are_of_one_size_and_not_larger_than_asked(shape: tuple[int, int]):
    geometry = Geometry(in_channels=1, out_channels=1, scale=1, stride=8, radius=51, exact=True)
    tiles = plan(shape, geometry, Tiling(640))
    sizes = {tuple(part.stop - part.start for part in tile.window) for tile in tiles}
    assert len(sizes) == 1
    height, width = sizes.pop()
    assert height * width <= 640**2
    # Windows partly outside the image are no larger than its sides, rounded up to the stride.
    assert height <= shape[0] + 7
    assert width <= max(shape[1] + 7, 2 * geometry.halo + 8)


@pytest.mark.parametrize(("tile_px", "computed_px"), [(1488, 2 * 1080 * 2048), (1100, 4 * 1080 * 1080)])
def test_windows_take_the_form_that_wastes_least_on_halos(tile_px: int, computed_px: int):
    geometry = Geometry(in_channels=1, out_channels=1, scale=1, stride=8, radius=51, exact=True)
    tiles = plan((2048, 2048), geometry, Tiling(tile_px))
    assert sum(math.prod(part.stop - part.start for part in tile.window) for tile in tiles) == computed_px


def test_openvino_keeps_its_telemetry_to_itself(tmp_path):
    script = (
        "import sys, pathlib\n"
        "from model_library.inference.backends.openvino_door import openvino\n"
        "openvino().Core()\n"
        "assert sys.modules['openvino_telemetry'] is None\n"
        "assert not any(name.startswith('openvino_telemetry.') for name in sys.modules)\n"
    )
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"HOME": str(tmp_path)},
        capture_output=True,
        timeout=60,
    )
    assert run.returncode == 0, run.stderr.decode()
    # Where telemetry is on, the identity of the machine lies here.
    assert list(tmp_path.iterdir()) == []


def test_a_self_ensemble_of_windows_is_that_of_the_whole_image(made: Made):
    ensemble, pixels = SelfEnsemble(made.backend("openvino", "float32")), image(made.geometry, (128, 80))
    whole = computed(ensemble, made.geometry, pixels, Tiling(4096))
    assert np.array_equal(computed(ensemble, made.geometry, pixels, Tiling(80)), whole)
    single = computed(made.backend("openvino", "float32"), made.geometry, pixels, Tiling(4096))
    assert np.abs(whole - single).max() > 1e-4 * single.std()
