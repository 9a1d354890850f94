"""Classical rivals, as strong as tuning makes them.

`classical` rebuilds a tuned one from its reference, as a site does with a release; it needs neither
torch nor matplotlib, and loads scipy, scikit-image and PyWavelets only when a method runs.
"""

from benchmark.baselines.family import ClassicalMethod, Family
from benchmark.baselines.pixel_training import train_numbered_pixels, train_pixel_classifier
from benchmark.baselines.registry import classical, classical_methods
from benchmark.baselines.tuning import tune

__all__ = [
    "ClassicalMethod",
    "Family",
    "classical",
    "classical_methods",
    "train_numbered_pixels",
    "train_pixel_classifier",
    "tune",
]
