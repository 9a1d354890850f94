"""A result written part by part into a plain OME-TIFF that lies in memory only where it is touched."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import tifffile
from numpy.typing import DTypeLike, NDArray

from model_library.errors import UnsupportedImage
from model_library.images.durable import TEMPORARY_SUFFIX, replace_durably
from model_library.images.intensity import PIXEL_DTYPES
from model_library.images.mapping import release
from model_library.images.ome import PROVENANCE, OmeFacts, write_ome
from model_library.images.pixel_size import PixelSize


class ResultFile:
    """An OME-TIFF under a temporary name, until `finish`; use as a context manager.

    Parameters
    ----------
    path
        Its name in the end; the folder exists. An earlier file of this name is replaced.
    shape
        Of the pixels: planes (as many axes as `axes` has), then [Y, X], or [Y, X, 3] for RGB.
    dtype
        uint8, uint16 or float32.
    axes
        Letters of the planes' axes, the slowest first, such as "TZ"; then "YX" or "YXS".
    pixel_size
        Of the result.
    provenance
        JSON values by name; `readers.read_provenance` gives them back.

    Raises
    ------
    UnsupportedImage
        Another dtype, or other axes.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, ...],
        dtype: DTypeLike,
        *,
        axes: str,
        pixel_size: PixelSize,
        provenance: Mapping[str, Any],
    ) -> None:
        colour = axes.endswith("S")
        leading = axes.removesuffix("S").removesuffix("YX")
        if np.dtype(dtype) not in PIXEL_DTYPES or len(axes) != len(shape) or not set(leading) <= set("TZCI"):
            raise UnsupportedImage(
                f"{path.name}: expected uint8, uint16 or float32 with planes along T, Z or C, found "
                f"{np.dtype(dtype)} of axes {axes} and shape {shape}; split the image"
            )
        pairs = {key: json.dumps(value, allow_nan=False) for key, value in provenance.items()}
        # OME knows no index without a meaning: time is the least of all claims.
        planes = tuple(zip(leading.replace("I", "T"), shape, strict=False))
        facts = OmeFacts(pixel_size, pairs={PROVENANCE: pairs}, planes=planes)
        height, width = shape[len(leading) : len(leading) + 2]
        self._final = path
        self._part = path.with_name(f".{path.name}.{uuid4().hex}{TEMPORARY_SUFFIX}")
        per_centimetre = 1e7 / pixel_size.side_nm if pixel_size.side_nm else 0.0
        told = 1e-3 < per_centimetre < 2**32 - 1
        self.pixels: NDArray[Any] = tifffile.memmap(
            self._part,
            shape=shape,
            dtype=np.dtype(dtype),
            byteorder="<",
            photometric="rgb" if colour else "minisblack",
            description=write_ome((height, width), np.dtype(dtype).name, facts, samples=3 if colour else 1),
            metadata=None,
            software="Synoptic",
            resolution=(per_centimetre, per_centimetre) if told else None,
            resolutionunit="CENTIMETER" if told else None,
        )
        """Axes as `axes`; what is written here is in the file."""

    def __enter__(self) -> "ResultFile":
        return self

    def __exit__(self, *_: object) -> None:
        # Windows removes no file that is mapped.
        del self.pixels
        self._part.unlink(missing_ok=True)

    def release(self) -> None:
        """Let go of memory for what was written so far."""
        release(self.pixels)

    def finish(self) -> None:
        """Give the file its name, durably; the pixels cannot be written any more."""
        self.pixels.flush()  # type: ignore[attr-defined]
        self.pixels = np.empty(0, self.pixels.dtype)
        replace_durably(self._part, self._final)
