"""The port behind which torch, ONNX Runtime and OpenVINO compute windows."""

from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from model_library.errors import SynopticError

BackendName = Literal["torch", "onnxruntime", "openvino"]
Precision = Literal["float32", "bfloat16"]
"""In which the convolutions are computed; windows are float32 on both sides of the port."""

Windows = NDArray[np.float32]
"""float32 [N, C, Y, X], unit scaled, in C order."""


class Backend(Protocol):
    """A network that computes windows."""

    @property
    def name(self) -> BackendName:
        """Which library computes."""
        ...

    @property
    def precision(self) -> Precision:
        """Of the convolutions."""
        ...

    @property
    def elsewhere(self) -> bool:
        """Whether another device than the processor computes, so that files are better read meanwhile."""
        ...

    def __call__(self, windows: Windows) -> Windows:
        """Compute [N, C, Y, X] -> [N, C', scale * Y, scale * X].

        What comes back may be overwritten by the next call.

        Raises
        ------
        OutOfMemory
            The windows are too large.
        """
        ...


class OutOfMemory(SynopticError):
    """A window needs more memory than there is."""


class BackendMissing(SynopticError):
    """The library of a backend is an optional extra that is not installed."""


_SIGNS = ("bad_alloc", "out of memory", "failed to allocate", "not enough memory", "can't alloc")


def out_of_memory(failure: Exception, windows: Windows) -> OutOfMemory | None:
    """Read a library's failure as lack of memory; None where it is another one."""
    text = str(failure).lower()
    if not isinstance(failure, MemoryError) and not any(sign in text for sign in _SIGNS):
        return None
    return OutOfMemory(
        f"expected memory for windows of {windows.shape}, found none: {str(failure)[-200:]}; "
        "choose a smaller tile"
    )
