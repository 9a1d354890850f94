"""From a file to its reconstruction in a file, in constant memory, whatever their size."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.errors import UnsupportedImage
from model_library.images.pixel_fit import PixelFit, PixelPolicy, fit_pixels, refuse_unfit, resample
from model_library.images.pixel_size import PixelSize
from model_library.images.result_file import ResultFile
from model_library.inference.precision import PrecisionPolicy
from model_library.inference.self_ensemble import Ensemble
from model_library.inference.served import ServedNetwork, restore_recording, result_dtype, result_shape
from model_library.signing.digests import sha256_file
from model_library.zoo.serving.acquired import Acquired, colour_for, read_acquired
from model_library.zoo.serving.opening import open_network
from model_library.zoo.serving.places import user_cache
from model_library.zoo.serving.provenance import provenance, source_told
from model_library.zoo.shipped import shipped_network

Finished = Callable[[NDArray[Any], float | None, dict[str, Any]], None]
"""Sees pixels, the side of one in nanometres, and provenance."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """What whoever asks wants besides.

    Attributes
    ----------
    pixel_size_nm
        Side of a pixel, for files that do not tell it.
    pixel_policy
        What becomes of pixels that do not fit the network.
    source
        What is known of the source, for provenance: at least `file_name` and `sha256`; None to find out.
    provenance
        More of it.
    clock
        Time of making.
    """

    pixel_size_nm: float | None = None
    pixel_policy: PixelPolicy = "resample"
    source: Mapping[str, Any] | None = None
    provenance: Mapping[str, Any] | None = None
    clock: Callable[[], datetime] = lambda: datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Reconstructed:
    """What was written: where it lies, the side of its pixels and its provenance."""

    path: Path
    pixel_size_nm: float | None
    provenance: dict[str, Any]


def reconstruct(
    source: Path,
    target: Path,
    network: ServedNetwork,
    wishes: Wishes | None = None,
    *,
    told: Callable[[float], None] = lambda _: None,
    finished: Finished = lambda *_: None,
) -> Reconstructed:
    """Reconstruct a file into an OME-TIFF.

    Parameters
    ----------
    source
        An image of any format that `contents.read_contents` reads.
    target
        Its folder is made where it is missing; the file appears when it is whole.
    network
        See `opening.open_network`.
    told
        Told what share of the image, stack or series is done more.
    finished
        Sees the result before it has its name.

    Raises
    ------
    ImageError
        The source is no such image, or not for this network, or its pixels are unfit.
    OutOfMemory
        Not even the smallest windows fit.
    """
    wishes = wishes or Wishes()
    acquired = read_acquired(source, colour_for(network.card))
    about = wishes.source or {"file_name": source.name, "sha256": sha256_file(source)}
    fit = _fit(acquired, network, wishes)
    refuse_unfit(fit, source.name)
    pixels = _resampled(acquired.pixels, acquired.axes, fit.factor)
    shape = result_shape(network, pixels.shape, acquired.axes)
    dtype = result_dtype(network, acquired.pixels.dtype)
    size_nm = None if fit.fitted_nm is None else fit.fitted_nm / network.geometry.scale
    told_of = (
        _made_by(network, fit, wishes.clock())
        | {"source": source_told(about, fit, acquired.pixels.shape, acquired.data_bar_rows, acquired.colour)}
        | dict(wishes.provenance or {})
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    size = replace(PixelSize.square(size_nm), z_nm=acquired.pixel_size.z_nm)
    axes = network.result_axes(acquired.axes)
    with ResultFile(target, shape, dtype, axes=axes, pixel_size=size, provenance=told_of) as file:
        planes_px = pixels.size / (3 if acquired.colour == "rgb" else 1)
        restore_recording(
            network, pixels, acquired.axes, file.pixels, lambda done_px: told(done_px / planes_px)
        )
        finished(file.pixels, size_nm, told_of)
        file.finish()
    return Reconstructed(target, size_nm, told_of)


def _fit(acquired: Acquired, network: ServedNetwork, wishes: Wishes) -> PixelFit:
    size, card = acquired.pixel_size, network.card
    if size.is_known and not size.is_square:
        raise UnsupportedImage(f"expected square pixels, found {size}; export the image with square pixels")
    found_nm = size.side_nm or wishes.pixel_size_nm
    # Tuned on images of its instrument, at their pixel size, whatever range it descends from.
    return fit_pixels(found_nm, card.pixel_size_nm, wishes.pixel_policy)


def _made_by(network: ServedNetwork, fit: PixelFit, made_at: datetime) -> dict[str, Any]:
    return provenance(
        network.card.ref,
        network.card.task,
        made_at=made_at,
        scale=network.geometry.scale,
        arithmetic=network.arithmetic,
        fit=fit,
    )


def _resampled(pixels: NDArray[Any], axes: str, factor: float) -> NDArray[Any]:
    """Sample every plane anew, as float32."""
    if factor == 1:
        return pixels
    channels_first = np.moveaxis(pixels, -1, 0) if axes.endswith("S") else pixels
    planes = channels_first.reshape(-1, *channels_first.shape[-2:])
    anew = np.stack([resample(plane.astype(np.float32), factor) for plane in planes])
    anew = anew.reshape(*channels_first.shape[:-2], *anew.shape[-2:])
    return np.moveaxis(anew, 0, -1) if axes.endswith("S") else anew


def reconstruct_file(
    source: str | Path,
    target: str | Path,
    network_id: str,
    *,
    threads: int = 1,
    precision: PrecisionPolicy = "float32",
    ensemble: Ensemble | None = None,
) -> Reconstructed:
    """Reconstruct a file with a network that ships: `reconstruct_file("a.tif", "b.ome.tif", "edsr-x2-sem")`.

    Parameters
    ----------
    threads
        Processor cores to use.
    precision
        See `inference.precision`.
    ensemble
        Of the eight ways to turn and mirror the image: "mean" is better by a little, "spread" tells in counts
        how unsure the network is of every pixel; both are eight times as slow.

    Raises
    ------
    UnknownNetwork
        No network of this id ships. Else as `reconstruct`.
    """
    network = open_network(shipped_network(network_id), user_cache(), threads=threads, precision=precision)
    return reconstruct(Path(source), Path(target), network.of_eight(ensemble))
