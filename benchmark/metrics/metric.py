"""The names of the figures of merit."""

from enum import StrEnum


class Metric(StrEnum):
    """A figure of merit; `PSNR_REPEAT` is the one that needs no truth."""

    PSNR = "psnr"
    PSNR_AFFINE = "psnr_affine"
    PSNR_REPEAT = "psnr_repeat"
    SSIM = "ssim"
    NRMSE = "nrmse"
    DICE = "dice"

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is a better one."""
        return self is not Metric.NRMSE

    @property
    def unit(self) -> str:
        """Unit to write behind a value; empty for a pure number."""
        return "dB" if self.value.startswith("psnr") else ""

    @property
    def decimals(self) -> int:
        """Digits behind the point worth printing."""
        return 2 if self.unit else 4
