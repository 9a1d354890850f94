"""What is needed to build a network, without importing torch."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from model_library.networks.graph_config import GraphConfig
from model_library.wire.base import Message

Channels = Literal["grey", "rgb", "slices"]
"""What the input channels of a network are; see `_Architecture`."""

Normalisation = Literal["none", "batch", "instance", "group"]
"""What follows a convolution. Batch normalisation is folded into it at release; instance and group
normalisation (Wu and He 2018) compute over space, so they neither fold nor tile exactly."""


class _Architecture(Message):
    """What all architectures have in common: the channels of their input.

    `channels` says what the `in_channels` channels are: one grey value, red, green and blue, or an
    odd number of neighbouring slices of a stack, of which the middle one is worked on (2.5-D).
    """

    in_channels: int = Field(default=1, ge=1)
    channels: Channels = "grey"

    @model_validator(mode="after")
    def _channels_agree(self) -> Self:
        allowed = {
            "grey": self.in_channels == 1,
            "rgb": self.in_channels == 3,
            "slices": self.in_channels >= 3 and self.in_channels % 2 == 1,
        }
        if not allowed[self.channels]:
            raise ValueError(
                "expected 1 channel that is grey, 3 that are rgb or an odd number (3, 5 ...) of slices, "
                f"found {self.in_channels} that are {self.channels}; set in_channels and channels together"
            )
        return self


class UNetConfig(_Architecture):
    """U-Net (Ronneberger et al. 2015) with padded convolutions, grey, RGB or 2.5-D.

    `widths` are the channels of each level, top first; `residual` adds the input (of a stack, its
    middle slice) to the output (restoration). Otherwise `out_channels` are class scores
    (segmentation), or grey values.
    """

    kind: Literal["unet"] = "unet"
    widths: tuple[int, ...] = Field(min_length=2)
    out_channels: int = Field(default=1, ge=1)
    residual: bool = True
    normalisation: Normalisation = "none"

    @model_validator(mode="after")
    def _residual_fits(self) -> Self:
        if self.residual and self.out_channels != restored_channels(self):
            raise ValueError(
                f"expected {restored_channels(self)} output channels of a residual network (its input is "
                f"{self.channels}), found {self.out_channels}; correct out_channels or set residual to false"
            )
        return self


class ResidualDenoiserConfig(_Architecture):
    """DnCNN (Zhang et al. 2017) without batch normalisation: predicts the noise to subtract."""

    kind: Literal["residual_denoiser"] = "residual_denoiser"
    depth: int = Field(ge=3)
    width: int = Field(ge=1)


class EDSRConfig(_Architecture):
    """EDSR (Lim et al. 2017); RGB with the published mean shift, which is frozen.

    The baseline has 16 blocks of width 64, the full network 32 of 256 with `residual_scale` 0.1.
    `value_range` is what white is to the weights: 255 for the published ones.
    """

    kind: Literal["edsr"] = "edsr"
    blocks: int = Field(ge=1)
    width: int = Field(ge=1)
    scale: Literal[2, 3, 4]
    residual_scale: float = 1.0
    value_range: float = Field(default=1.0, gt=0)


class MDSRConfig(_Architecture):
    """MDSR (Lim et al. 2017): one body for several scales, 80 blocks of width 64 as published.

    `scales` are those that the weights hold, in this order; `scale` is the one that is used, and
    may be changed without changing the weights. `value_range` as for EDSR.
    """

    kind: Literal["mdsr"] = "mdsr"
    blocks: int = Field(default=80, ge=1)
    width: int = Field(default=64, ge=1)
    scales: tuple[Literal[2, 3, 4], ...] = Field(default=(2, 3, 4), min_length=1)
    scale: Literal[2, 3, 4]
    value_range: float = Field(default=1.0, gt=0)

    @model_validator(mode="after")
    def _scale_is_held(self) -> Self:
        if self.scale not in self.scales or len(set(self.scales)) != len(self.scales):
            raise ValueError(
                f"expected different scales and one of them to use, found {self.scales} and {self.scale}; "
                "correct scale or scales"
            )
        return self


class PSSRUNetConfig(_Architecture):
    """PSSR U-Net (Fang et al. 2021): ResNet encoder, pixel-shuffle decoder with ICNR.

    The input is up-sampled bilinearly by `scale` before the network. `blocks` are the basic blocks
    per encoder stage, (3, 4, 6, 3) in ResNet-34; `width` are the channels of the first stage. With
    batch normalisation the encoder is that of the published network.
    """

    kind: Literal["pssr_unet"] = "pssr_unet"
    blocks: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    scale: Literal[1, 2, 4]
    normalisation: Normalisation = "none"


class MaskRCNNConfig(_Architecture):
    """Mask R-CNN (He et al. 2017) on a feature pyramid of a ResNet, as torchvision has it.

    It finds instances at the sampling of the image, which is never resized. `classes` counts the
    background; `width` are the channels of pyramid and heads (256 as published, then the heads are
    torchvision's); `anchors_px` are the sides of the boxes that the levels propose, finest first:
    one per stage of the ResNet (4 as published, 3 leave the last one out, which holds three
    quarters of ResNet-18) and one of half the coarsest sampling. `proposals` is how many boxes of
    an image are looked at, `sampled` how many of them are learned from (None: all), `detections`
    how many can be found. Without group normalisation a ResNet is hard to train from nothing.
    """

    kind: Literal["mask_rcnn"] = "mask_rcnn"
    classes: int = Field(default=2, ge=2)
    backbone: Literal["resnet18", "resnet34", "resnet50"] = "resnet18"
    normalisation: Literal["none", "group"] = "group"
    width: int = Field(default=256, ge=1)
    anchors_px: tuple[int, ...] = Field(default=(16, 32, 64, 128, 256), min_length=4, max_length=5)
    proposals: int = Field(default=512, ge=1)
    sampled: int | None = Field(default=None, ge=1)
    detections: int = Field(default=256, ge=1)

    @property
    def stages(self) -> int:
        """Stages of the ResNet that the feature pyramid stands on: 3 or 4."""
        return len(self.anchors_px) - 1


NetworkConfig = Annotated[
    UNetConfig
    | ResidualDenoiserConfig
    | EDSRConfig
    | MDSRConfig
    | PSSRUNetConfig
    | MaskRCNNConfig
    | GraphConfig,
    Field(discriminator="kind"),
]


def restored_channels(config: _Architecture) -> int:
    """Channels of a restored image: 3 where the input is RGB, else 1 (of a stack, the middle slice)."""
    return 3 if config.channels == "rgb" else 1


class NetworkFacts(Message):
    """Figures that follow from an architecture alone; cards state them, tests recompute them.

    `receptive_field_px` is the side of the square of input pixels that an output pixel can depend
    on (an upper bound); `flops_per_pixel` are the floating-point operations of all convolutions per
    input pixel, two per multiply-add (of Mask R-CNN those of its feature pyramid, for an image of
    256 x 256; its heads work per instance); `exact_tiling` says that windows with a halo of the
    receptive radius give what the whole image gives.
    """

    parameters: int = Field(ge=1)
    receptive_field_px: int = Field(ge=1)
    flops_per_pixel: int = Field(ge=1)
    exact_tiling: bool
