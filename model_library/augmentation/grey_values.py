"""Operators that change grey values on the unit scale and move nothing: masks and instances stay."""

import dataclasses
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from model_library.augmentation.batch import Batch
from model_library.augmentation.ranges import (
    Operator,
    PositiveRange,
    Range,
    Share,
    SignedRange,
    log_uniform,
    uniform,
)


class GaussianNoise(Operator):
    """Additive white noise of standard deviation `sigma`, independent in each channel."""

    kind: Literal["gaussian_noise"] = "gaussian_noise"
    sigma: Range = (0.0, 0.1)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Add noise to the images."""
        images = batch.images
        sigma = _per_image(uniform(self.sigma, len(images), generator))
        changed = images + sigma * _normal(images.shape, generator)
        return _some(self, batch, changed, generator)


class PoissonNoise(Operator):
    """Counting statistics at `electrons_per_pixel` where the intensity is 1; negative intensity is dark."""

    kind: Literal["poisson_noise"] = "poisson_noise"
    electrons_per_pixel: PositiveRange = (20.0, 500.0)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Count electrons in each image at its own dose."""
        images = batch.images
        dose = _per_image(log_uniform(self.electrons_per_pixel, len(images), generator))
        changed = torch.poisson(images.clamp(min=0) * dose, generator=generator) / dose
        return _some(self, batch, changed, generator)


class BackgroundNoise(Operator):
    """A smooth background (charging, thickness, uneven illumination), the same in all channels.

    It varies over about `size_px` pixels with standard deviation `sigma`, and has no mean.
    """

    kind: Literal["background_noise"] = "background_noise"
    sigma: Range = (0.0, 0.15)
    size_px: int = Field(default=64, ge=2)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Add a background to each image."""
        images = batch.images
        sigma = _per_image(uniform(self.sigma, len(images), generator))
        height, width = images.shape[2:]
        coarse = (len(images), 1, height // self.size_px + 4, width // self.size_px + 4)
        fine = functional.interpolate(
            _normal(torch.Size(coarse), generator), scale_factor=self.size_px, mode="bicubic"
        )
        # The outermost nodes have neighbours on one side only.
        field = fine[:, :, self.size_px : self.size_px + height, self.size_px : self.size_px + width]
        field = field - field.mean(dim=(2, 3), keepdim=True)
        spread = field.square().mean(dim=(2, 3), keepdim=True).sqrt().clamp(min=1e-6)
        changed = images + sigma * field / spread
        return _some(self, batch, changed, generator)


class Contrast(Operator):
    """Stretch or flatten grey values about the mean of each channel by `factor`."""

    kind: Literal["contrast"] = "contrast"
    factor: PositiveRange = (0.7, 1.4)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change the contrast of each image by its own factor."""
        images = batch.images
        factor = _per_image(log_uniform(self.factor, len(images), generator))
        mean = images.mean(dim=(2, 3), keepdim=True)
        changed = mean + factor * (images - mean)
        return _some(self, batch, changed, generator)


class Jitter(Operator):
    """Another brightness (`offset` is added) and another `gamma`, as detectors of another day have."""

    kind: Literal["jitter"] = "jitter"
    offset: SignedRange = (-0.1, 0.1)
    gamma: PositiveRange = (0.8, 1.25)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Change brightness and gamma of each image."""
        images = batch.images
        gamma = _per_image(log_uniform(self.gamma, len(images), generator))
        offset = _per_image(uniform(self.offset, len(images), generator))
        # Below 0 are the tails beyond the percentiles: gamma acts on their distance from 0.
        changed = images.sign() * images.abs() ** gamma + offset
        return _some(self, batch, changed, generator)


class Blur(Operator):
    """Defocus: convolution with a Gaussian of standard deviation `sigma_px`; borders are mirrored."""

    kind: Literal["blur"] = "blur"
    sigma_px: Range = (0.0, 1.5)

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Blur each image by its own Gaussian."""
        images = batch.images
        # A Gaussian this narrow is one pixel to float32.
        sigma = uniform(self.sigma_px, len(images), generator).clamp(min=0.05)
        reach = min(int(4 * self.sigma_px[1] + 0.5), *(side - 1 for side in images.shape[2:]))
        places = torch.arange(-reach, reach + 1, device=images.device, dtype=torch.float32)
        kernel = torch.exp(-0.5 * (places / sigma[:, None]) ** 2)
        kernel = (kernel / kernel.sum(dim=1, keepdim=True)).repeat_interleave(images.shape[1], dim=0)
        planes = images.reshape(1, -1, *images.shape[2:])
        padded = functional.pad(planes, (reach,) * 4, mode="reflect")
        rows = functional.conv2d(padded, kernel[:, None, :, None], groups=len(kernel))
        changed = functional.conv2d(rows, kernel[:, None, None, :], groups=len(kernel)).reshape(images.shape)
        return _some(self, batch, changed, generator)


class SaltPepper(Operator):
    """Hot and dead pixels: shares of all pixels set to 1 and to 0, in all channels alike."""

    kind: Literal["salt_pepper"] = "salt_pepper"
    salt: Share = 0.005
    pepper: Share = 0.005

    def apply(self, batch: Batch, generator: torch.Generator) -> Batch:
        """Replace pixels of the images."""
        images = batch.images
        shape = (len(images), 1, *images.shape[2:])
        drawn = torch.rand(shape, generator=generator, device=generator.device)
        salted = torch.where(drawn < self.salt, 1.0, images)
        changed = torch.where(drawn > 1 - self.pepper, 0.0, salted)
        return _some(self, batch, changed, generator)


def _some(operator: Operator, batch: Batch, changed: Tensor, generator: torch.Generator) -> Batch:
    """Take the changed image where the operator strikes."""
    struck = _per_image(operator.struck(len(changed), generator))
    return dataclasses.replace(batch, images=torch.where(struck, changed, batch.images))


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _normal(shape: torch.Size, generator: torch.Generator) -> Tensor:
    return torch.randn(shape, generator=generator, device=generator.device)
