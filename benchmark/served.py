"""A network as a site serves it, on pixels of the size it was made for; judged on the image's own grid."""

from dataclasses import dataclass

from benchmark.method import Method
from model_library.images.frame import Grey
from model_library.images.pixel_fit import PixelFit, fit_pixels, refuse_unfit, resample, resample_labels
from model_library.wire.methods import MethodRef


@dataclass(frozen=True)
class Sized:
    """A method that was made for a range of pixel sizes; called as it is, it takes any pixels for those.

    Attributes
    ----------
    method
        What runs.
    wanted_nm
        Smallest and largest side of a pixel, of the network's card; None where it states none.
    gives_labels
        Whether results are class numbers, of which no mean may be taken.
    """

    method: Method
    wanted_nm: tuple[float, float] | None
    gives_labels: bool = False

    @property
    def ref(self) -> MethodRef:
        """What the method is."""
        return self.method.ref

    @property
    def scale(self) -> int:
        """Output pixels per input pixel along each axis."""
        return self.method.scale

    def __call__(self, pixels: Grey) -> Grey:
        """Restore or segment one image [Y, X] as it is."""
        return self.method(pixels)

    def at(self, pixel_size_nm: float | None) -> Method:
        """Tell what a site runs on images of this pixel size.

        Raises
        ------
        UnfitPixelSize
            A site would refuse them.
        """
        fit = fit_pixels(pixel_size_nm, self.wanted_nm)
        refuse_unfit(fit, self.ref.id)
        return self.method if fit.action == "as_is" else Resampled(self.method, fit, self.gives_labels)


@dataclass(frozen=True)
class Resampled:
    """A method that sees the image on the grid it was made for; its result is brought back.

    A site leaves the result on the method's grid. Here others are to be compared with it, and the
    reference is on the image's.
    """

    method: Method
    fit: PixelFit
    gives_labels: bool

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
        found = self.method(resample(pixels, self.fit.factor))
        rows, columns = pixels.shape
        back = resample_labels if self.gives_labels else resample
        return back(found, 1 / self.fit.factor, (rows * self.scale, columns * self.scale))


def served(method: Method, pixel_size_nm: float | None) -> Method:
    """Tell what of a method a site runs on images of this pixel size; refusals as in `Sized.at`."""
    return method.at(pixel_size_nm) if isinstance(method, Sized) else method
