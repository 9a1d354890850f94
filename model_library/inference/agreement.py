"""How well a backend agrees with torch in float32, and how well it has to."""

import numpy as np
from numpy.typing import NDArray

from model_library.inference.backends.port import Precision
from model_library.wire.base import Message

MOST_ERROR_OVER_STD = 2e-5
"""In float32: two libraries sum in different orders."""
LEAST_PSNR_DB = 38.0
"""In bfloat16, which has 8 bits of mantissa, over the range of the output; naive int8 has 25 to 27 dB."""


class Agreement(Message):
    """Distance of an output from that of torch in float32.

    Attributes
    ----------
    max_error_over_std
        The largest difference, of the standard deviation of the output.
    psnr_db
        Peak signal to noise ratio over the range of the output; 999 where nothing differs.
    """

    max_error_over_std: float
    psnr_db: float

    @classmethod
    def of(cls, found: NDArray[np.float32], expected: NDArray[np.float32]) -> "Agreement":
        """Compare two outputs of one shape; another shape or a value that is no number agrees in nothing."""
        if found.shape != expected.shape or not np.isfinite(found).all():
            return cls(max_error_over_std=np.finfo(np.float32).max, psnr_db=0.0)
        difference = found.astype(np.float64) - expected
        # An output that is flat has no standard deviation to compare with: then its size counts.
        deviation = float(expected.std()) or float(np.abs(expected).max()) or 1.0
        peak = float(np.ptp(expected)) or deviation
        error = float(np.mean(difference**2))
        psnr = 999.0 if error == 0 else 10 * float(np.log10(peak**2 / error))
        return cls(max_error_over_std=float(np.abs(difference).max()) / deviation, psnr_db=psnr)

    def holds(self, precision: Precision) -> bool:
        """Whether it is good enough for this precision."""
        if precision == "float32":
            return self.max_error_over_std <= MOST_ERROR_OVER_STD
        return self.psnr_db >= LEAST_PSNR_DB
