"""How near the engine comes to a GPU's limit; says "no GPU" without one.

Run as `python benchmark/gpu_inference.py --json FILE`, or `python -m benchmark.gpu_inference`.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from model_library.images.durable import write_durably
from model_library.images.intensity import Scaling, to_dtype
from model_library.images.tiling import Slices
from model_library.inference.backends.torch_backend import TorchBackend
from model_library.inference.engine import geometry_of
from model_library.inference.windows import Plane, Tiling, compute
from model_library.networks.build import build
from model_library.networks.config import EDSRConfig, MDSRConfig, NetworkConfig, UNetConfig
from model_library.networks.facts import facts
from model_library.zoo.serving.prepare import folded

NETWORKS: dict[str, tuple[NetworkConfig, float]] = {
    "unet": (UNetConfig(widths=(32, 64, 128, 256), normalisation="batch"), 0.35),
    "edsr-x2": (EDSRConfig(blocks=16, width=64, scale=2), 0.50),
    "mdsr-x2": (MDSRConfig(blocks=16, scales=(2, 4), scale=2), 0.50),
    "mdsr-x4": (MDSRConfig(blocks=16, scales=(2, 4), scale=4), 0.50),
}
"""Networks, and the share of the floor's speed that the engine is to reach."""

_ROUNDS = 5
_GEMM_SIDE = 8192
_COPY_BYTES = 1 << 30


def flop_per_s() -> float:
    """Measure a product of two square matrices in bfloat16: the arithmetic that the GPU really has."""
    one, other = (torch.rand(_GEMM_SIDE, _GEMM_SIDE, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2.0 * _GEMM_SIDE**3 / _seconds(lambda: one @ other)


def bytes_per_s() -> float:
    """Measure a copy in the GPU's memory, counted once read and once written."""
    source = torch.empty(_COPY_BYTES, device="cuda", dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2.0 * _COPY_BYTES / _seconds(lambda: target.copy_(source))


def floor_s(config: NetworkConfig, side: int, flops: float, memory: float) -> float:
    """Give the least time for an image [side, side]: arithmetic or the traffic of feature maps, the longer.

    The traffic is that of every convolution reading its input and writing its output once, in bfloat16.
    """
    traffic = 0

    def count(_: torch.nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal traffic
        traffic += 2 * (inputs[0].numel() + output.numel())

    with torch.device("meta"):
        module = build(config)
        for layer in module.modules():
            if isinstance(layer, torch.nn.Conv2d):
                layer.register_forward_hook(count)
        module(torch.empty(1, 1, 64, 64))
    return max(facts(config).flops_per_pixel * side**2 / flops, traffic * (side / 64) ** 2 / memory)


def engine_s(config: NetworkConfig, side: int, tile_px: int) -> float:
    """Measure the engine from a 16-bit image in memory to a 16-bit image in memory."""
    torch.manual_seed(0)
    backend = TorchBackend(folded(build(config).eval()), precision="bfloat16", device="cuda")
    geometry = geometry_of(config)
    image = np.random.default_rng(0).poisson(1000, (side, side)).astype(np.uint16)
    scaling = Scaling.of(image)
    result = np.empty((side * geometry.scale, side * geometry.scale), np.uint16)

    def write(part: Slices, pixels: np.typing.NDArray[np.float32]) -> None:
        result[part] = to_dtype(scaling.invert(pixels[0]), np.uint16)

    plane = Plane((side, side), lambda part: scaling.apply(image[part])[None], write)
    return _seconds(lambda: compute(plane, backend, geometry, Tiling(tile_px)))


def _seconds(work: Callable[[], object]) -> float:
    work()
    times = []
    for _ in range(_ROUNDS):
        torch.cuda.synchronize()
        begun = time.perf_counter()
        work()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return median(times)


def measure(side: int, tile_px: int) -> dict[str, Any]:
    """Measure every network against its floor on the first GPU; without one, say so."""
    if not torch.cuda.is_available():
        return {"gpu": None, "note": "no GPU", "rows": []}
    flops, memory = flop_per_s(), bytes_per_s()
    rows = []
    for name, (config, bar) in NETWORKS.items():
        floor, found = floor_s(config, side, flops, memory), engine_s(config, side, tile_px)
        rows.append(
            {
                "network": name,
                "size": side,
                "ms": 1e3 * found,
                "floor_ms": 1e3 * floor,
                "share_of_floor": floor / found,
                "bar": bar,
                "reached": floor / found >= bar,
            }
        )
    return {
        "gpu": torch.cuda.get_device_name(),
        "note": "",
        "tflop_per_s": flops / 1e12,
        "tb_per_s": memory / 1e12,
        "rows": rows,
    }


def main(
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the figures to this file.")] = None,
    side: Annotated[int, typer.Option(min=256, help="Of the square image, pixels.")] = 4096,
    tile_px: Annotated[int, typer.Option(min=256, help="Greatest side of a window.")] = 2048,
) -> None:
    """Measure the inference engine on a GPU: time for an image, and the share of the floor."""
    found = json.dumps(measure(side, tile_px), indent=2)
    if json_file is not None:
        write_durably(json_file, (found + "\n").encode())
    typer.echo(found)


if __name__ == "__main__":
    typer.run(main)
