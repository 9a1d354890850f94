"""Which device computes a training, and in which precision."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Literal

import torch

from model_library.errors import RecipeError
from model_library.training.config import FitConfig

_BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names under which torch reports them on x86 and ARM."""


@dataclass(frozen=True, slots=True)
class Compute:
    """What was decided for one training.

    Attributes
    ----------
    device
        Where weights and batches lie.
    precision
        Of the convolutions; weights, losses and the optimiser are float32 in either.
    """

    device: torch.device
    precision: Literal["fp32", "bf16"]

    def autocast(self) -> AbstractContextManager[object]:
        """Context of a forward pass; bfloat16 has the range of float32, so no gradient needs scaling."""
        if self.precision == "fp32":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16)

    def __str__(self) -> str:
        return f"{self.precision} on {self.device.type}"


def decide(config: FitConfig, *, local_rank: int = 0) -> Compute:
    """Resolve `auto`: the first GPU where there is one, bf16 where the processor has instructions for it.

    Parameters
    ----------
    config
        Says what is wanted.
    local_rank
        Number of the GPU that this process uses.

    Raises
    ------
    RecipeError
        A GPU is wanted and there is none.
    """
    present = torch.cuda.is_available()
    if config.device == "cuda" and not present:
        raise RecipeError(
            "expected a GPU that torch can use, found none; choose device 'cpu' or 'auto', or install a "
            "build of torch for the GPU"
        )
    on_gpu = present and config.device != "cpu"
    device = torch.device("cuda", local_rank) if on_gpu else torch.device("cpu")
    if config.precision != "auto":
        return Compute(device, config.precision)
    return Compute(device, "bf16" if has_bf16_instructions(device) else "fp32")


def has_bf16_instructions(device: torch.device) -> bool:
    """Whether a device computes with bfloat16 faster than with float32, rather than imitating it."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    capabilities = torch.cpu.get_capabilities()
    return any(bool(capabilities.get(name)) for name in _BF16_INSTRUCTIONS)
