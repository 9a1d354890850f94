"""How fast each backend is on an architecture: short trials, shorter for those that lag behind."""

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from model_library.inference.backends.port import Backend, OutOfMemory, Precision, Windows
from model_library.inference.geometry import Geometry
from model_library.inference.prepared import Rate

WINDOW_BYTES = 1 << 30
"""What the feature maps of one window may take, at the most."""
LARGEST_TILE_PX: dict[Precision, int] = {"float32": 1088, "bfloat16": 1488}
"""For a U-Net of 1.9 M parameters torch took 838 MB in float32 in windows of 1108 px, OpenVINO 540 MB in
bfloat16 in windows of the area of 1488 px."""
_LIGHTER = {("openvino", "float32"): 1488}
"""OpenVINO joins nothing on a U-Net's way up: 749 MB at this size."""
_HELD_LONGER = {"onnxruntime": 2.0}
"""Its arena grows by powers of two: 569 MB for a U-Net of 1.9 M parameters at 912 px, 1083 MB at 1088 px."""
_TRIAL_FLOPS = 2e10
_ROUNDS = 3
_HOPELESS = 2.0
"""Times as slow as the fastest in the first round: it is not asked again."""


class RateMeter:
    """Measures backends on one architecture.

    Parameters
    ----------
    flops_per_pixel
        Arithmetic per pixel of a window.
    module
        Of that architecture, as it is computed.
    threads
        That backends were given.
    """

    def __init__(self, geometry: Geometry, flops_per_pixel: int, module: nn.Module, threads: int) -> None:
        self._geometry, self._flops, self._threads = geometry, flops_per_pixel, threads
        self._bytes = _bytes_per_pixel(module, geometry)

    def rates(self, backends: Sequence[Backend]) -> tuple[Rate, ...]:
        """Time every backend on one window, in turns; its own window is as large as memory allows."""
        window = np.random.default_rng(0).random(
            (1, self._geometry.in_channels, self._side(), self._side()), dtype=np.float32
        )
        best = [self._first(backend, window) for backend in backends]
        for _ in range(_ROUNDS - 1):
            fastest = min(best)
            best = [
                least if least > _HOPELESS * fastest else min(least, self._seconds(backend, window))
                for backend, least in zip(backends, best, strict=True)
            ]
        return tuple(
            self._rate(backend, window.shape[2] ** 2 / seconds)
            for backend, seconds in zip(backends, best, strict=True)
        )

    def _side(self) -> int:
        """Give the side of the window of the trial: no more arithmetic than is needed to tell them apart."""
        return self._clamped(min(min(LARGEST_TILE_PX.values()), int((_TRIAL_FLOPS / self._flops) ** 0.5)))

    def _rate(self, backend: Backend, pixels_per_s: float) -> Rate:
        share = _HELD_LONGER.get(backend.name, 1.0) * (1.0 if backend.precision == "float32" else 0.5)
        affordable = int((WINDOW_BYTES / (self._bytes * share)) ** 0.5)
        largest = _LIGHTER.get((backend.name, backend.precision), LARGEST_TILE_PX[backend.precision])
        tile = self._clamped(min(largest, affordable))
        # What the halo costs in windows of the size that will be used, in the middle of an image.
        kept = ((tile - 2 * self._geometry.halo) / tile) ** 2
        return Rate(
            backend=backend.name,
            precision=backend.precision,
            mpix_per_s=kept * pixels_per_s / 1e6,
            tile_px=tile,
        )

    def _clamped(self, side: int) -> int:
        stride = self._geometry.stride
        return max(self._geometry.least_tile_px, side // stride * stride)

    def _first(self, backend: Backend, window: Windows) -> float:
        try:
            # Compiles, and takes memory for the first time.
            backend(window)
            return self._seconds(backend, window)
        except OutOfMemory:
            return 1e9

    def _seconds(self, backend: Backend, window: Windows) -> float:
        wall, computing = time.perf_counter(), time.process_time()
        backend(window)
        wall, computing = time.perf_counter() - wall, time.process_time() - computing
        # On the processor not the wall: what else loads the machine now would decide for ever.
        return max(wall if backend.elsewhere else computing / self._threads, 1e-9)


def _bytes_per_pixel(module: nn.Module, geometry: Geometry) -> float:
    """Estimate the float32 feature maps alive at once: those round the busiest layer and half as much."""
    busiest = 0

    def count(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal busiest
        alive = sum(each.numel() for each in inputs if isinstance(each, Tensor)) + output.numel()
        busiest = max(busiest, alive)

    hooks = [layer.register_forward_hook(count) for layer in module.modules() if not list(layer.children())]
    side = geometry.rounded_up(64)
    with torch.inference_mode():
        module(torch.zeros(1, geometry.in_channels, side, side))
    for hook in hooks:
        hook.remove()
    return 1.5 * 4 * busiest / side**2
