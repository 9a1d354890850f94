"""What a site makes of an image before it leaves: the middle of it, fewer bits, or neither."""

from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from model_library.wire.base import Message
from model_library.wire.methods import Sha256


class SendPolicy(Message):
    """Set by the site in its settings, for every image that leaves.

    Attributes
    ----------
    crop_px
        Only the middle, at most so many pixels along each side; None for all of it.
    bits
        Of 16-bit counts only the upper so many: they are divided by 2^(16 - bits) and rounded down, in all
        images alike. None for all; images of 8 bits and of floating-point numbers stay as they are.
    """

    crop_px: int | None = Field(default=None, ge=256)
    bits: int | None = Field(default=None, ge=8, le=15)

    @property
    def is_plain(self) -> bool:
        """Whether files are sent as they were acquired."""
        return self.crop_px is None and self.bits is None

    def told(self, planes: int = 1, *, colour: bool = False) -> str:
        """Say in words what leaves: of so many planes the middle one, of colour the luminance."""
        plane = [] if planes == 1 else [f"the middle one of {planes} planes"]
        plane += ["the luminance of its colours"] if colour else []
        crop = [] if self.crop_px is None else [f"the middle {self.crop_px} px"]
        bits = [] if self.bits is None else [f"{self.bits} bits"]
        return ", ".join(plane + crop + bits) or "as acquired"


class Made(Message):
    """A file made for sending: its own digest and size, and by what policy (`SendPolicy.told`)."""

    sha256: Sha256
    bytes: int = Field(ge=1)
    policy: str


Make = Callable[[Path, Path, str], Made]
"""Makes the second path's file of the first one's, which must have this digest.

Raises `ChildRefused` where it has another or cannot be read, `ChildDied` or `OSError`.
"""
