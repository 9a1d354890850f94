"""The processor's limit: one large convolution, as fast as oneDNN computes it."""

import time

import torch

from model_library.inference.backends.port import Precision

_CHANNELS, _SIDE_PX, _TRIES = 64, 512, 5
_DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


@torch.inference_mode()
def roof_flop_per_s(precision: Precision) -> float:
    """Measure a 3x3 convolution from 64 to 64 channels on 512 square, channels last: the best of five.

    Returns
    -------
    float
        Floating-point operations per CPU second of this process.
    """
    dtype = _DTYPES[precision]
    layer = torch.nn.Conv2d(_CHANNELS, _CHANNELS, 3, padding=1).to(dtype)
    layer = layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    image = (
        torch.rand(1, _CHANNELS, _SIDE_PX, _SIDE_PX).to(dtype).contiguous(memory_format=torch.channels_last)
    )
    layer(image)
    times = []
    for _ in range(_TRIES):
        begun = time.process_time()
        layer(image)
        times.append(time.process_time() - begun)
    return 2.0 * 9 * _CHANNELS**2 * _SIDE_PX**2 / min(times)
