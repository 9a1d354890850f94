"""The names of the figures of merit."""

import math
from enum import StrEnum


class Metric(StrEnum):
    """A figure of merit.

    `PSNR_REPEAT` and `FRAME_RISK` need no truth: an image made noisier, and a second frame. `PSNR_SELF`
    and those from `RING_CORRELATION` on need nothing but the image (`benchmark.selection.label_free`).
    `AP50` is TP / (TP + FP + FN), `COCO_AP50` the area under the precision-recall curve; both at IoU 0.5.
    `..._AFFINE` are taken after the best gain and offset. docs/metrics.md defines each.
    """

    PSNR = "psnr"
    PSNR_AFFINE = "psnr_affine"
    PSNR_REPEAT = "psnr_repeat"
    PSNR_SELF = "psnr_self"
    SSIM = "ssim"
    SSIM_AFFINE = "ssim_affine"
    MS_SSIM = "ms_ssim"
    MS_SSIM_AFFINE = "ms_ssim_affine"
    NRMSE = "nrmse"
    NRMSE_AFFINE = "nrmse_affine"
    FRC_RESOLUTION = "frc_resolution_px"
    FRAME_RISK = "frame_risk"
    DICE = "dice"
    DICE_EXPECTED = "dice_expected"
    IOU = "iou"
    AP50 = "ap50"
    COCO_AP50 = "coco_ap50"
    PANOPTIC_QUALITY = "panoptic_quality"
    BOUNDARY_F = "boundary_f"
    RAND_FOREGROUND = "rand_foreground"
    VARIATION_OF_INFORMATION = "variation_of_information"
    RING_CORRELATION = "ring_correlation"
    FORWARD_MISFIT = "forward_misfit"
    PLAUSIBILITY = "plausibility"
    PLAUSIBILITY_STATED = "plausibility_stated"
    CONSISTENCY = "consistency"
    SEPARATION = "separation"
    CONSENSUS = "consensus"

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value is a better one."""
        return self not in _LOWER_IS_BETTER

    @property
    def sign(self) -> int:
        """What a value is multiplied by so that a larger one is better: 1 or -1."""
        return 1 if self.higher_is_better else -1

    def place(self, value: float | None) -> float:
        """Key by which values are sorted: the best one first, a missing one last."""
        return math.inf if value is None else -self.sign * value

    @property
    def unit(self) -> str:
        """Unit to write behind a value; empty for a pure number."""
        if self.value.startswith("psnr"):
            return "dB"
        return _UNITS.get(self, "")

    @property
    def titled(self) -> str:
        """Name with its unit, for axes and headings, such as "psnr [dB]"."""
        return f"{self.value} [{self.unit}]" if self.unit else self.value

    @property
    def decimals(self) -> int:
        """Digits behind the point worth printing."""
        if self is Metric.FRAME_RISK:
            return 5
        return 2 if self.unit else 4


_LOWER_IS_BETTER = frozenset(
    {
        Metric.NRMSE,
        Metric.NRMSE_AFFINE,
        Metric.FRC_RESOLUTION,
        Metric.FRAME_RISK,
        Metric.VARIATION_OF_INFORMATION,
        Metric.FORWARD_MISFIT,
    }
)
_UNITS = {Metric.FRC_RESOLUTION: "px", Metric.VARIATION_OF_INFORMATION: "bit"}
