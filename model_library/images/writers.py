"""Images out: OME-TIFF, grey, readable by any viewer (uncompressed strips, directory first)."""

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from model_library.errors import UnsupportedImage
from model_library.images.durable import write_durably
from model_library.images.frame import Frame
from model_library.images.intensity import PIXEL_DTYPES, refuse_non_finite
from model_library.images.ome import ACQUISITION, PROVENANCE, OmeFacts, write_ome
from model_library.images.pixel_size import PixelSize

_STRIP_BYTES = 1 << 16


def write_result(
    path: Path, pixels: NDArray[Any], *, pixel_size_nm: float | None, provenance: Mapping[str, Any]
) -> None:
    """Write a result as OME-TIFF, atomically and durably.

    Parameters
    ----------
    path
        The file; its folder exists. An earlier file of this name is replaced.
    pixels
        Axes [Y, X]; uint8, uint16 or float32.
    pixel_size_nm
        Side of a pixel of the result, in nanometres.
    provenance
        JSON values by name; `readers.read_provenance` gives them back.

    Raises
    ------
    UnsupportedImage
        The axes or the dtype are others, or a name cannot be carried by XML.
    NonFinitePixels
        A pixel is NaN or infinite.
    """
    pairs = {key: json.dumps(value, allow_nan=False) for key, value in provenance.items()}
    write_durably(
        path, _encode(pixels, OmeFacts(PixelSize.square(pixel_size_nm), pairs={PROVENANCE: pairs}), path.name)
    )


def encode_acquisition(frame: Frame) -> bytes:
    """OME-TIFF of a frame as an instrument writes it: directory first, then strips in order.

    A file that holds only the first part of these bytes is recognised as incomplete up to its
    last byte (`completeness.is_complete`).
    """
    pairs = {ACQUISITION: dict(frame.metadata)} if frame.metadata else {}
    return _encode(
        frame.pixels,
        OmeFacts(PixelSize.square(frame.pixel_size_nm), frame.field, pairs),
        frame.field or "frame",
    )


def _encode(pixels: NDArray[Any], facts: OmeFacts, name: str) -> bytes:
    if pixels.ndim != 2 or not pixels.size or pixels.dtype not in PIXEL_DTYPES:
        raise UnsupportedImage(
            f"{name}: expected axes [Y, X] of uint8, uint16 or float32, found shape {pixels.shape} of "
            f"{pixels.dtype}; write one grey image"
        )
    refuse_non_finite(pixels, name)
    height, width = pixels.shape
    side_nm = facts.pixel_size.side_nm
    per_centimetre = 1e7 / side_nm if side_nm else 0.0
    # The tag is a ratio of 32-bit integers: where it cannot hold the value, only OME-XML tells it.
    told = 1e-3 < per_centimetre < 2**32 - 1
    buffer = io.BytesIO()
    tifffile.imwrite(
        buffer,
        np.ascontiguousarray(pixels),
        byteorder="<",
        photometric="minisblack",
        rowsperstrip=max(1, min(height, _STRIP_BYTES // (width * pixels.itemsize))),
        description=write_ome((height, width), pixels.dtype.name, facts),
        metadata=None,
        software="Synoptic",
        resolution=(per_centimetre, per_centimetre) if told else None,
        resolutionunit="CENTIMETER" if told else None,
    )
    return buffer.getvalue()
