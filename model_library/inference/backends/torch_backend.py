"""Windows computed by torch: eager on the processor, compiled with CUDA graphs on a GPU."""

import copy
from contextlib import nullcontext

import numpy as np
import torch
from torch import nn

from model_library.inference.backends.port import BackendName, Precision, Windows, out_of_memory
from model_library.inference.one_kernel import OneKernel

_BF16_INSTRUCTIONS = ("avx512_bf16", "amx_bf16", "bf16")
"""Names under which torch reports them on x86 and ARM."""

_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


class TorchBackend:
    """A module in evaluation mode, channels last.

    Parameters
    ----------
    module
        Best with its normalisation folded; left as it is unless it is used as it is (float32 on the
        processor).
    precision
        Of weights and convolutions.
    device
        Where it computes.
    """

    name: BackendName = "torch"

    def __init__(self, module: nn.Module, *, precision: Precision = "float32", device: str = "cpu") -> None:
        self.precision: Precision = precision
        self._device, self._dtype = torch.device(device), _DTYPES[precision]
        self.elsewhere = self._device.type != "cpu"
        if precision != "float32" or self.elsewhere:
            module = copy.deepcopy(module).eval().to(self._device, self._dtype)
            module = module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if precision == "float32" and self.elsewhere:
            # By default a GPU's convolutions drop 13 bits of the mantissa: nothing would agree.
            torch.backends.cudnn.allow_tf32 = False
        # CUDA graphs: launching the kernels of a small network takes longer than computing them.
        self._module = torch.compile(module, mode="reduce-overhead") if self.elsewhere else module

    @torch.inference_mode()
    def __call__(self, windows: Windows) -> Windows:
        """Compute windows; see `port.Backend`."""
        # Contiguous first: strides of a single channel would otherwise depend on where it was cut from.
        tensor = torch.from_numpy(np.ascontiguousarray(windows))
        try:
            if self.elsewhere:
                tensor = tensor.pin_memory().to(self._device, non_blocking=True)
            tensor = tensor.to(self._dtype).contiguous(memory_format=torch.channels_last)
            with nullcontext() if self.elsewhere else OneKernel():
                scores = self._module(tensor)
            found: Windows = scores.float().cpu().numpy()
        except (RuntimeError, MemoryError) as failure:
            lack = out_of_memory(failure, windows)
            if lack is None:
                raise
            raise lack from failure
        return found


def torch_precisions(device: str = "cpu") -> tuple[Precision, ...]:
    """In which precisions a device computes by instructions of its own; the first is the exact one."""
    if device != "cpu":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = any(bool(capabilities.get(name)) for name in _BF16_INSTRUCTIONS)
    return ("float32", "bfloat16") if native else ("float32",)
