"""How much faster the training loop is than the textbook's: bf16 channels last against float32 NCHW.

Run as `python -m benchmark.training_speed`; prints JSON.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Annotated, Any

import torch
import typer
from torch import Tensor, nn

from model_library.networks.build import build
from model_library.networks.config import UNetConfig
from model_library.training.precision import has_bf16_instructions

WIDTHS = (32, 64, 128, 256)
_WARM_UP_STEPS = 2


@dataclass(frozen=True, slots=True)
class Variant:
    """One way to take a training step."""

    name: str
    channels_last: bool
    bf16: bool


FP32_NCHW = Variant("fp32_nchw", channels_last=False, bf16=False)
FP32_CHANNELS_LAST = Variant("fp32_channels_last", channels_last=True, bf16=False)
BF16_CHANNELS_LAST = Variant("bf16_channels_last", channels_last=True, bf16=True)


def stepper(variant: Variant, *, batch: int, patch_px: int, widths: tuple[int, ...]) -> Callable[[], float]:
    """Make a function that takes one training step (Adam, L1, one fixed batch) and gives its CPU seconds."""
    torch.manual_seed(0)
    layout = torch.channels_last if variant.channels_last else torch.contiguous_format
    module: nn.Module = build(UNetConfig(widths=widths)).to(memory_format=layout)  # type: ignore[call-overload]
    optimiser = torch.optim.Adam(module.parameters())
    inputs, targets = (
        torch.rand(batch, 1, patch_px, patch_px).contiguous(memory_format=layout) for _ in range(2)
    )

    def step() -> float:
        begun = time.process_time()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=variant.bf16):
            prediction: Tensor = module(inputs)
        optimiser.zero_grad(set_to_none=True)
        nn.functional.l1_loss(prediction.float(), targets).backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return time.process_time() - begun

    return step


def compare(
    variants: tuple[Variant, ...], *, rounds: int, batch: int, patch_px: int, widths: tuple[int, ...]
) -> dict[str, Any]:
    """Time variants in turn, round by round, and hold each against the first.

    Returns
    -------
    dict
        `patches_per_cpu_s` and `ratio` to the first variant (the median over rounds of the ratio
        within a round, and its extremes), by variant.
    """
    steps = {
        variant.name: stepper(variant, batch=batch, patch_px=patch_px, widths=widths) for variant in variants
    }
    for step in steps.values():
        for _ in range(_WARM_UP_STEPS):
            step()
    seconds = [{name: step() for name, step in steps.items()} for _ in range(rounds)]
    first = variants[0].name
    found = {}
    for name in steps:
        ratios = sorted(each[first] / each[name] for each in seconds)
        found[name] = {
            "patches_per_cpu_s": batch / median(each[name] for each in seconds),
            "ratio": median(ratios),
            "ratio_least": ratios[0],
            "ratio_greatest": ratios[-1],
        }
    return found


def main(
    rounds: Annotated[int, typer.Option(min=1, help="Steps of each variant, taken in turn.")] = 7,
    batch: Annotated[int, typer.Option(min=1)] = 16,
    patch_px: Annotated[int, typer.Option(min=16, help="Multiple of 8.")] = 128,
) -> None:
    """Time training steps of a U-Net of 1.9 M parameters on one core, and print JSON."""
    torch.set_num_threads(1)
    bf16 = has_bf16_instructions(torch.device("cpu"))
    variants = (FP32_NCHW, FP32_CHANNELS_LAST, *([BF16_CHANNELS_LAST] if bf16 else []))
    found = compare(variants, rounds=rounds, batch=batch, patch_px=patch_px, widths=WIDTHS)
    note = "" if bf16 else "this processor has no bfloat16 instructions: only the layout was measured"
    report = {
        "processor": torch.cpu.get_capabilities().get("cpu_name", ""),
        "bf16_instructions": bf16,
        "batch": batch,
        "patch_px": patch_px,
        "rounds": rounds,
        "variants": found,
        "ratio": found[variants[-1].name]["ratio"],
        "note": note,
    }
    typer.echo(json.dumps(report, indent=2))


if __name__ == "__main__":
    typer.run(main)
