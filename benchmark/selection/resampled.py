"""A network for pixels of another size, judged on the instrument's own grid."""

from dataclasses import dataclass

import numpy as np

from benchmark.method import Method
from model_library.images.frame import Grey
from model_library.images.pixel_fit import PixelFit, resample
from model_library.wire.methods import MethodRef
from model_library.wire.tasks import Segment, Task


@dataclass(frozen=True)
class Resampled:
    """A `Method` that serves as a site serves: the image is resampled for it, here also its result back.

    Attributes
    ----------
    factor
        Pixels that the network sees for one of the image, along each axis.
    labels
        Whether results are class numbers, of which the nearest is taken.
    """

    method: Method
    factor: float
    labels: bool

    @property
    def ref(self) -> MethodRef:
        """What the method is."""
        return self.method.ref

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return self.method.scale

    def __call__(self, pixels: Grey) -> Grey:
        """Restore or segment one image: float32 [Y, X] -> float32 [Y * scale, X * scale]."""
        wanted = tuple(side * self.scale for side in pixels.shape)
        found = self.method(resample(pixels, self.factor))
        if not self.labels:
            return _to_shape(resample(found, 1 / self.factor), wanted)
        rows, columns = (
            np.minimum(((np.arange(side) + 0.5) * self.factor).astype(int), length - 1)
            for side, length in zip(wanted, found.shape, strict=True)
        )
        nearest: Grey = found[np.ix_(rows, columns)]
        return nearest


def as_served(method: Method, pixels: PixelFit, task: Task) -> Method:
    """Put resampling around a network whose pixels have another size than the images'."""
    if pixels.action != "resample":
        return method
    return Resampled(method, pixels.factor, isinstance(task, Segment))


def _to_shape(pixels: Grey, shape: tuple[int, ...]) -> Grey:
    """Cut, or extend by the edge, the pixel that rounding left over."""
    missing = [(0, max(0, side - length)) for side, length in zip(shape, pixels.shape, strict=True)]
    return np.pad(pixels, missing, mode="edge")[: shape[0], : shape[1]]
