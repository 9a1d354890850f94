"""One acquired image, in memory."""

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
"""Grey values as float32, axes [Y, X], in the instrument's own units (counts), never rescaled."""


@dataclasses.dataclass(frozen=True, slots=True)
class Frame:
    """One acquired image.

    Attributes
    ----------
    pixels
        Axes [Y, X]; uint8, uint16 or float32; the values as acquired, bit for bit; no data bar.
    pixel_size_nm
        Side of a (square) pixel in nanometres; None where the file does not say.
    field
        Field of view (the stage label); None where the file does not say.
    metadata
        Further facts of the acquisition as the file names them (dose, dwell, detector ...).
    data_bar_rows
        Rows of a data bar that were cropped off the bottom of the stored image.
    """

    pixels: NDArray[Any]
    pixel_size_nm: float | None = None
    field: str | None = None
    metadata: dict[str, str] = dataclasses.field(default_factory=dict)
    data_bar_rows: int = 0

    @property
    def grey(self) -> Grey:
        """The pixels as float32, axes [Y, X], in counts."""
        return self.pixels.astype(np.float32)
