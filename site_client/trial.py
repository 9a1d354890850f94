"""What a method must do before it is put in service: survive noise, and a frame of the instrument."""

from pathlib import Path

import numpy as np

from benchmark.method import Method
from model_library.errors import ImageError, WeightsError
from model_library.images.contents import read_middle_plane
from model_library.images.frame import Grey

_PROBE_SIDE_PX = 64
_FRAME_SIDE_PX = 512


def try_method(method: Method, stored_frame: Path | None) -> None:
    """Run a method on noise, and on a frame of the instrument where there is one.

    Parameters
    ----------
    stored_frame
        A frame of this instrument that was reconstructed before; only the middle of its middle plane is
        used, in grey, and where it is gone or unreadable by now the method is not to blame.

    Raises
    ------
    WeightsError
        The result has another shape than it should, or is not finite.
    """
    probe = np.random.default_rng(0).poisson(100, (_PROBE_SIDE_PX, _PROBE_SIDE_PX)).astype(np.float32)
    _run(method, probe, "noise")
    if stored_frame is None:
        return
    try:
        pixels = read_middle_plane(stored_frame)[1].grey
    except (ImageError, OSError):
        return
    _run(method, _middle(pixels), stored_frame.name)


def _run(method: Method, pixels: Grey, name: str) -> None:
    found = method(pixels)
    expected = tuple(side * method.scale for side in pixels.shape)
    if found.shape != expected or not np.isfinite(found).all():
        raise WeightsError(
            f"{method.ref.id}: expected finite pixels of shape {expected} for {name}, found shape"
            f" {found.shape}; do not use this network"
        )


def _middle(pixels: Grey) -> Grey:
    top, left = (max(0, (side - _FRAME_SIDE_PX) // 2) for side in pixels.shape)
    return np.ascontiguousarray(pixels[top : top + _FRAME_SIDE_PX, left : left + _FRAME_SIDE_PX])
