"""What is needed to build a network, without importing torch."""

from typing import Annotated, Literal

from pydantic import Field

from model_library.wire.base import Message


class UNetConfig(Message):
    """U-Net (Ronneberger et al. 2015) without normalisation, with padded convolutions.

    `widths` are the channels of each level, top first; `residual` adds the input to the output
    (restoration). `out_channels` > 1 are class scores (segmentation).
    """

    kind: Literal["unet"] = "unet"
    widths: tuple[int, ...] = Field(min_length=2)
    out_channels: int = 1
    residual: bool = True


class ResidualDenoiserConfig(Message):
    """DnCNN (Zhang et al. 2017) without batch normalisation: predicts the noise to subtract."""

    kind: Literal["residual_denoiser"] = "residual_denoiser"
    depth: int = Field(ge=3)
    width: int = Field(ge=1)


class EDSRConfig(Message):
    """EDSR (Lim et al. 2017), single channel, no mean shift."""

    kind: Literal["edsr"] = "edsr"
    blocks: int = Field(ge=1)
    width: int = Field(ge=1)
    scale: Literal[2, 3, 4]
    residual_scale: float = 1.0


class PSSRUNetConfig(Message):
    """PSSR U-Net (Fang et al. 2021): ResNet encoder, pixel-shuffle decoder with ICNR.

    The input is up-sampled bilinearly by `scale` before the network. `blocks` are the basic blocks
    per encoder stage, (3, 4, 6, 3) in ResNet-34; `width` are the channels of the first stage.
    """

    kind: Literal["pssr_unet"] = "pssr_unet"
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    scale: Literal[1, 2, 4]


NetworkConfig = Annotated[
    UNetConfig | ResidualDenoiserConfig | EDSRConfig | PSSRUNetConfig, Field(discriminator="kind")
]


class NetworkFacts(Message):
    """Figures that follow from an architecture alone; cards state them, tests recompute them.

    `receptive_field_px` is the side of the square of input pixels that an output pixel can depend
    on (an upper bound); `flops_per_pixel` are the floating-point operations of all convolutions per
    input pixel, two per multiply-add; `exact_tiling` says that windows with a halo of the
    receptive radius give what the whole image gives.
    """

    parameters: int = Field(ge=1)
    receptive_field_px: int = Field(ge=1)
    flops_per_pixel: int = Field(ge=1)
    exact_tiling: bool
