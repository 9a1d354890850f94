"""Convolutions that are computed the same way whatever the size of the image."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode


class OneKernel(TorchFunctionMode):
    """While it is entered, convolutions on the processor are all oneDNN's.

    Left alone, torch gives small tensors to another kernel than large ones, which sums in another
    order: a pixel of a window would differ from that of the whole image by the last bits. In oneDNN
    the order depends on channels and kernel only, as long as channels lie last throughout.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  (torch's signature)
        if func is torch.conv2d and not kwargs and _serves(args):
            image, weight, bias, stride, padding, dilation, groups = args
            return torch.mkldnn_convolution(image, weight, bias, padding, stride, dilation, groups)
        return func(*args, **(kwargs or {}))


def _serves(args: tuple[Any, ...]) -> bool:
    """Whether the arguments are those of `nn.Conv2d`, for which oneDNN has a kernel here."""
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    if len(args) != 7 or isinstance(args[4], str) or not available:
        return False
    image: Tensor = args[0]
    return (
        image.device.type == "cpu"
        and image.dtype in (torch.float32, torch.bfloat16)
        and not torch.is_autocast_enabled("cpu")
    )
