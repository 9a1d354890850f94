"""The cases of the suite: what is done to which images, and what the result is held against."""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from benchmark.metrics import Metric
from benchmark.real.sources import (
    ABF_STEM,
    AXONS,
    FIB25,
    FIB25_STACK,
    FLUORESCENCE,
    ISBI,
    LOW_DOSE_TEM,
    OXIDE,
    POWDER,
    SRTIO3,
    STEM_PREVIEW,
    SUPERALLOY,
    TRENCH,
    Source,
)
from model_library.wire.base import Message
from model_library.wire.tasks import Denoise, Segment, SuperResolve, Task


class PlantedNoise(Message):
    """Poisson and Gaussian noise on a clean micrograph that was binned against its own noise.

    `electrons_per_pixel` are counted where the binned image has its 99.9th percentile (unit intensity);
    `read_sigma` is in units of that. Noise is independent from pixel to pixel and is not digitised.
    """

    kind: Literal["planted_noise"] = "planted_noise"
    bin: int = Field(default=2, ge=1)
    electrons_per_pixel: float = Field(gt=0)
    read_sigma: float = Field(ge=0)


class Coarse(Message):
    """The degradation of PSSR v1 for electron microscopy: local-variance noise, then coarser sampling.

    The truth was binned before by `bin`.
    """

    kind: Literal["coarse"] = "coarse"
    bin: int = Field(default=1, ge=1)
    scale: Literal[2, 4]
    share: float = Field(default=0.05, ge=0)
    sigma_px: float = Field(default=3.0, gt=0)


class Pairing(StrEnum):
    """How the second acquisition of a place is found."""

    PAGES = "pages"
    FILES = "files"
    HIGH_SNR = "high_snr"


class SecondFrame(Message):
    """A second acquisition of the same place is the judge.

    `PAGES` are those of one stack, each judged by the next, `FILES` those of a source, `HIGH_SNR` a file
    of the same name with `_highsnr`, brought to the first one's grey scale by a fit. Pages that drift by up
    to `drift_px` are moved by whole pixels onto the first one.
    """

    kind: Literal["second_frame"] = "second_frame"
    pairing: Pairing
    drift_px: int = Field(default=0, ge=0)


class Form(StrEnum):
    """What a segmentation is held against: a mask, single objects, or cells that fill the image."""

    MASK = "mask"
    OBJECTS = "objects"
    CELLS = "cells"


class Labelled(Message):
    """Labels drawn by people; `target` is the class that a network has to know, or one of `also`."""

    kind: Literal["labelled"] = "labelled"
    target: str
    also: tuple[str, ...] = ()
    form: Form


How = Annotated[PlantedNoise | Coarse | SecondFrame | Labelled, Field(discriminator="kind")]


class RealCase(Message):
    """One row of the suite.

    Attributes
    ----------
    crop_px, tuning_px
        Side of what is scored and of what classical algorithms are tuned on, in pixels of the truth.
    windows
        Crops of each scored file; they count as one field of view, save where the source is divided.
    tuning_images
        At most so many files (or windows of a divided source), evenly spread.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    source: Source
    task: Task
    how: How
    crop_px: int = Field(default=256, ge=64)
    tuning_px: int = Field(default=192, ge=64)
    windows: int = Field(default=1, ge=1)
    tuning_images: int = Field(default=4, ge=1)

    @property
    def for_parameters(self) -> "RealCase":
        """The case whose tuning pages are those that parameters are tuned on, where a stack has such."""
        pages = self.source.parameter_pages or self.source.tuning_pages
        return self.model_copy(update={"source": self.source.model_copy(update={"tuning_pages": pages})})

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Figures of merit; the first one decides."""
        match self.how:
            case PlantedNoise():
                return (Metric.PSNR, Metric.PSNR_AFFINE, Metric.SSIM)
            case Coarse():
                return (Metric.PSNR, Metric.PSNR_AFFINE, Metric.SSIM, Metric.FRC_RESOLUTION)
            case SecondFrame():
                return (Metric.FRAME_RISK,)
            case Labelled(form=Form.MASK):
                return (Metric.DICE, Metric.IOU)
            case Labelled(form=Form.OBJECTS):
                return (Metric.AP50, Metric.COCO_AP50, Metric.DICE)
            case Labelled():
                return (Metric.RAND_FOREGROUND, Metric.VARIATION_OF_INFORMATION)


MODERATE = PlantedNoise(electrons_per_pixel=25, read_sigma=0.05)
STRONG = PlantedNoise(electrons_per_pixel=8, read_sigma=0.08)
"""At half the intensity the noise is 0.15 and 0.26 of the image's span: four times the micrographs' own and
more, which after binning is 0.01 to 0.04 of it. At less, the own noise would decide the score."""


_ALSO = {"membrane": ("cell-border",)}
"""What the library calls a structure besides."""


def _denoising() -> tuple[RealCase, ...]:
    table: tuple[tuple[Source, int, int], ...] = (
        (AXONS, 256, 2),
        (OXIDE, 256, 1),
        (SUPERALLOY, 256, 1),
        (POWDER, 256, 2),
        (FIB25, 256, 1),
        (TRENCH, 256, 4),
        (SRTIO3, 128, 6),
    )
    return tuple(
        RealCase(
            name=f"{source.id}-noise-{level}",
            source=source,
            task=Denoise(),
            how=how,
            crop_px=side,
            tuning_px=min(side, 192),
            windows=windows,
        )
        for source, side, windows in table
        for level, how in (("moderate", MODERATE), ("strong", STRONG))
    )


def _super_resolution() -> tuple[RealCase, ...]:
    table: tuple[tuple[Source, int, int, int], ...] = (
        (AXONS, 1, 320, 1),
        (OXIDE, 2, 320, 1),
        (FIB25, 1, 320, 1),
        (TRENCH, 2, 256, 4),
    )
    return tuple(
        RealCase(
            name=f"{source.id}-x{scale}",
            source=source,
            task=SuperResolve(scale=scale),
            how=Coarse(bin=binning, scale=scale),
            crop_px=side,
            tuning_px=256,
            windows=windows,
        )
        for source, binning, side, windows in table
        for scale in (2, 4)
    )


def _second_frames() -> tuple[RealCase, ...]:
    table: tuple[tuple[Source, SecondFrame, int, int], ...] = (
        (LOW_DOSE_TEM, SecondFrame(pairing=Pairing.FILES), 128, 8),
        (ABF_STEM, SecondFrame(pairing=Pairing.PAGES, drift_px=16), 128, 4),
        (STEM_PREVIEW, SecondFrame(pairing=Pairing.PAGES), 64, 2),
        (FLUORESCENCE, SecondFrame(pairing=Pairing.HIGH_SNR), 256, 6),
    )
    return tuple(
        RealCase(
            name=f"{source.id}-frames",
            source=source,
            task=Denoise(),
            how=how,
            crop_px=side,
            tuning_px=side,
            windows=windows,
        )
        for source, how, side, windows in table
    )


def _segmentation() -> tuple[RealCase, ...]:
    table: tuple[tuple[str, Source, str, Form, int, int], ...] = (
        ("isbi2012-membranes", ISBI, "membrane", Form.CELLS, 512, 512),
        ("fib25-membranes", FIB25_STACK, "membrane", Form.CELLS, 250, 250),
        ("axons-axon", AXONS, "axon", Form.MASK, 2048, 256),
        ("superalloy-precipitates", SUPERALLOY, "precipitate", Form.MASK, 512, 256),
        ("oxide-cracks", OXIDE, "crack", Form.MASK, 1024, 320),
        ("powder-particles", POWDER, "particle", Form.OBJECTS, 1536, 512),
    )
    return tuple(
        RealCase(
            name=name,
            source=source,
            task=Segment(classes=("background", target)),
            how=Labelled(target=target, also=_ALSO.get(target, ()), form=form),
            crop_px=crop_px,
            tuning_px=tuning_px,
        )
        for name, source, target, form, crop_px, tuning_px in table
    )


CASES: tuple[RealCase, ...] = (*_denoising(), *_second_frames(), *_super_resolution(), *_segmentation())
"""Every case of the suite, in the order in which it runs."""
