"""A network that is ready to compute, and what it makes of whole recordings; needs no torch by itself."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.cards.card import NetworkCard
from model_library.errors import NonFinitePixels, UnsupportedImage
from model_library.images.intensity import Scaling, to_dtype
from model_library.images.mapping import extremes, release
from model_library.images.tiling import Slices
from model_library.inference.backends.port import Backend
from model_library.inference.geometry import Geometry
from model_library.inference.self_ensemble import Ensemble, SelfEnsemble, Spread
from model_library.inference.windows import Channels, Plane, Tiling, Told, compute
from model_library.networks.config import MaskRCNNConfig
from model_library.networks.units import scaling_for
from model_library.wire.tasks import Segment

_CACHED_PX = 1 << 16

Pages = Sequence[NDArray[Any]]
"""Axes [Y, X] each: the channels of a network's input, or of its output."""


@dataclass(frozen=True)
class ServedNetwork:
    """A network that computes windows.

    Attributes
    ----------
    card
        Verified, as are the weights.
    geometry
        What windows need to know.
    backend
        It agrees with torch.
    tiling
        Found by calibration.
    """

    card: NetworkCard
    geometry: Geometry
    backend: Backend
    tiling: Tiling

    @property
    def arithmetic(self) -> str:
        """Precision and backend, for provenance."""
        of_eight = ""
        if isinstance(self.backend, SelfEnsemble | Spread):
            what = "mean" if isinstance(self.backend, SelfEnsemble) else "standard deviation"
            of_eight = f", {what} of eight turned and mirrored"
        return f"{self.backend.precision} by {self.backend.name}{of_eight}"

    def of_eight(self, ensemble: Ensemble | None) -> "ServedNetwork":
        """Give the network that answers with the mean, or the spread, of eight; None changes nothing.

        Raises
        ------
        UnsupportedImage
            Of classes there is no spread.
        """
        if ensemble is None:
            return self
        if ensemble == "spread" and isinstance(self.card.task, Segment):
            raise UnsupportedImage(
                f"expected a network that restores, for its uncertainty, found {self.card.id}, which"
                " segments; choose another network"
            )
        return replace(self, backend=(SelfEnsemble if ensemble == "mean" else Spread)(self.backend))

    def result_axes(self, axes: str) -> str:
        """Give the axes of the result for a recording of these axes: classes have no colour."""
        return axes.removesuffix("S") if isinstance(self.card.task, Segment) else axes


def result_shape(network: ServedNetwork, shape: tuple[int, ...], axes: str) -> tuple[int, ...]:
    """Give the shape of the result for a recording of this shape, of the axes that the network gives it.

    Raises
    ------
    UnsupportedImage
        The network gives no image, or is for colour where there is none, or gives classes to grey pixels
        and there are three of them.
    """
    config, colour, segments = network.card.config, axes.endswith("S"), isinstance(network.card.task, Segment)
    fits = colour if config.channels == "rgb" else not (colour and segments)
    if isinstance(config, MaskRCNNConfig) or not fits:
        raise UnsupportedImage(
            f"expected an image for {network.card.id}, a {config.kind} of {config.channels}, found axes "
            f"{axes}; choose another network"
        )
    where = axes.index("Y")
    enlarged = [side * network.geometry.scale for side in shape[where : where + 2]]
    return (*shape[:where], *enlarged, *(() if segments else shape[where + 2 :]))


def result_dtype(network: ServedNetwork, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Give the dtype of the result for pixels of this dtype.

    uint8 for class numbers, float32 for a spread, which is less than a count, else the same.
    """
    if isinstance(network.backend, Spread):
        return np.dtype(np.float32)
    return np.dtype(np.uint8) if isinstance(network.card.task, Segment) else dtype


def restore_recording(
    network: ServedNetwork, pixels: NDArray[Any], axes: str, result: NDArray[Any], told: Told = lambda _: None
) -> None:
    """Restore every plane of a recording, or give its pixels classes.

    Grey values are scaled by those of the whole recording, each channel (C) by its own; never by those of
    a window. A network of grey planes restores red, green and blue one after the other, all on one scale,
    which keeps the colours; one that is empty, of a single value, stays so. Memory that mapped arrays took is
    let go of plane by plane, window by window.

    Parameters
    ----------
    network
        For these channels: grey planes, neighbours along the last axis before Y, or RGB; see `result_shape`.
    pixels
        uint8, uint16 or float32, counts, finite; may lie in a file.
    axes
        One letter per axis: any of T, I, C, Z, then "YX" or "YXS".
    result
        Of the shape that `result_shape` gives, uint8, uint16 or float32; may lie in a file.
    told
        Told how many pixels of the input are done more.

    Raises
    ------
    NonFinitePixels
        The network gives NaN or infinity.
    OutOfMemory
        Not even the smallest windows fit.
    """
    tiling = network.tiling
    by_channel = axes.endswith("S") and network.card.config.channels != "rgb"
    for scaling, source, target in _planes(network, pixels, axes, result):
        height, width = source[0].shape
        if by_channel and all(low == high for low, high in map(extremes, source)):
            # What is not computed is not in doubt.
            target[0][...] = 0 if isinstance(network.backend, Spread) else source[len(source) // 2][0, 0]
            told(height * width)
            continue
        plane = Plane((height, width), _reader(source, scaling), _writer(network, target, scaling))
        tiling = compute(plane, network.backend, network.geometry, tiling, told)
        release(pixels)
        release(result)


def _planes(
    network: ServedNetwork, pixels: NDArray[Any], axes: str, result: NDArray[Any]
) -> Iterator[tuple[Scaling, Pages, Pages]]:
    leading = axes[: axes.index("Y")]
    shape = pixels.shape[: len(leading)]
    together = network.card.config.channels == "rgb"
    apart = axes.endswith("S") and not together
    pairs = [(pixels[..., each], result[..., each]) for each in range(3)] if apart else [(pixels, result)]
    scalings: dict[int, Scaling] = {}
    for place in product(*map(range, shape)):
        channel = place[leading.index("C")] if "C" in leading else 0
        if channel not in scalings:
            own = np.moveaxis(pixels, leading.index("C"), 0)[channel] if "C" in leading else pixels
            scalings[channel] = scaling_for(network.card.config, own)
        for source, target in pairs:
            if together:
                yield scalings[channel], _samples(source[place]), _samples(target[place])
            else:
                reach = network.geometry.in_channels // 2
                yield scalings[channel], _neighbours(source, place, reach), [target[place]]


def _samples(image: NDArray[Any]) -> Pages:
    """Red, green and blue of an image in colour; classes [Y, X] as they are."""
    return [image] if image.ndim == 2 else [image[..., each] for each in range(3)]


def _neighbours(pixels: NDArray[Any], place: tuple[int, ...], reach: int) -> Pages:
    """Planes beside one, along the last axis before Y; at the ends of a stack its last one again."""
    if not place:
        return [pixels] * (2 * reach + 1)
    last = pixels.shape[len(place) - 1] - 1
    return [pixels[(*place[:-1], min(max(place[-1] + by, 0), last))] for by in range(-reach, reach + 1)]


def _strips(shape: tuple[int, ...]) -> Iterator[slice]:
    """Cut [Y, X] into rows that stay in the processor's cache from one step of arithmetic to the next."""
    rows = max(1, _CACHED_PX // shape[1])
    return (slice(top, top + rows) for top in range(0, shape[0], rows))


def _reader(source: Pages, scaling: Scaling) -> Callable[[Slices], Channels]:
    def read(part: Slices) -> Channels:
        pages = [page[part] for page in source]
        unit = np.empty((len(pages), *pages[0].shape), np.float32)
        for scaled, page in zip(unit, pages, strict=True):
            for rows in _strips(page.shape):
                scaled[rows] = scaling.apply(page[rows])
        release(source[0])
        return unit

    return read


def _writer(network: ServedNetwork, target: Pages, scaling: Scaling) -> Callable[[Slices, Channels], None]:
    card, width = network.card, target[0].shape[1]
    if isinstance(network.backend, Spread):
        # A difference: no grey value is added to it.
        scaling = replace(scaling, offset=0.0)

    def write(part: Slices, unit: Channels) -> None:
        if not np.isfinite(unit).all():
            raise NonFinitePixels(
                f"expected finite grey values from {card.id} {card.version}, "
                "found NaN or infinity; do not use this network on this image"
            )
        if isinstance(card.task, Segment):
            target[0][part] = unit.argmax(axis=0)
        else:
            for page, values in zip((page[part] for page in target), unit, strict=True):
                for rows in _strips(values.shape):
                    page[rows] = to_dtype(scaling.invert(values[rows]), page.dtype)
        if part[1].stop == width:
            # The end of a row of windows.
            release(target[0])

    return write
