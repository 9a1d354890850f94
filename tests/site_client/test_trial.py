"""A method is tried before it is put in service."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from model_library.errors import WeightsError
from model_library.wire.methods import ClassicalRef
from site_client.trial import try_method


@dataclass
class Double:
    """Doubles pixels, and fails above a limit."""

    limit: float = np.inf
    scale: int = 1
    ref: ClassicalRef = field(default_factory=lambda: ClassicalRef(id="double"))
    shapes: tuple = ()

    def __call__(self, pixels):
        self.shapes = (*self.shapes, pixels.shape)
        return np.where(pixels > self.limit, np.nan, 2 * pixels).astype(np.float32)


def test_a_sound_method_passes_with_a_frame_and_without(site):
    method = Double()
    try_method(method, None)
    try_method(method, site.acquire(1))
    assert method.shapes == ((64, 64), (64, 64), (48, 64))


def test_a_frame_that_is_gone_is_not_the_methods_fault(site):
    try_method(Double(), site.folder / "gone.tif")
    try_method(Double(), site.acquire(1, b"no image any more"))


def test_a_method_that_fails_on_the_instruments_own_frames_is_refused(site):
    with pytest.raises(WeightsError, match="frame-001"):
        try_method(Double(limit=150), site.acquire(1))  # noise has 100 counts, frames 200


def test_a_method_of_another_scale_is_refused():
    with pytest.raises(WeightsError, match="128, 128"):
        try_method(Double(scale=2), None)
