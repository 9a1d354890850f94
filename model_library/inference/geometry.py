"""What windows need to know of a network, without its weights and without torch."""

from pydantic import Field

from model_library.wire.base import Message


class Geometry(Message):
    """How the pixels of a network's output depend on those of its input.

    Attributes
    ----------
    in_channels, out_channels
        Of the arrays that go in and come out.
    scale
        Output pixels per input pixel along each axis.
    stride
        Image sides are multiples of this many pixels, and windows start at multiples of it.
    radius
        How far, in input pixels, an input pixel can influence the output.
    exact
        Whether windows with a halo of the radius give what the whole image gives.
    """

    in_channels: int = Field(ge=1)
    out_channels: int = Field(ge=1)
    scale: int = Field(ge=1)
    stride: int = Field(ge=1)
    radius: int = Field(ge=0)
    exact: bool

    @property
    def halo(self) -> int:
        """Context around a core, pixels: the radius rounded up to the stride."""
        return self.rounded_up(self.radius)

    @property
    def least_tile_px(self) -> int:
        """Smallest side of a window that leaves a core worth its halo."""
        return 2 * self.halo + 4 * self.stride

    def rounded_up(self, length: int) -> int:
        """Give the next multiple of the stride."""
        return -(-length // self.stride) * self.stride
