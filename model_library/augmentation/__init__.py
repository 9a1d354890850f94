"""Augmentation of training data in torch: images, masks, instances and boxes are changed together."""

from model_library.augmentation.batch import Batch, Instances, stacked
from model_library.augmentation.geometry import Crop, Flip, QuarterTurn, Resize, Rotate, Zoom
from model_library.augmentation.grey_values import (
    BackgroundNoise,
    Blur,
    Contrast,
    GaussianNoise,
    Jitter,
    PoissonNoise,
    SaltPepper,
)
from model_library.augmentation.pipeline import Augmentation
from model_library.augmentation.windows import sliding_crops, sliding_windows
from model_library.wire.tasks import UNKNOWN_CLASS

__all__ = [
    "UNKNOWN_CLASS",
    "Augmentation",
    "BackgroundNoise",
    "Batch",
    "Blur",
    "Contrast",
    "Crop",
    "Flip",
    "GaussianNoise",
    "Instances",
    "Jitter",
    "PoissonNoise",
    "QuarterTurn",
    "Resize",
    "Rotate",
    "SaltPepper",
    "Zoom",
    "sliding_crops",
    "sliding_windows",
    "stacked",
]
