"""Figures of merit, by numpy and scipy (COCO's by pycocotools); docs/metrics.md defines each."""

from benchmark.metrics.boundaries import boundary_f
from benchmark.metrics.detection import average_precision, coco_ap50, panoptic_quality
from benchmark.metrics.metric import Metric
from benchmark.metrics.overlap import dice, dice_per_class, iou, iou_per_class
from benchmark.metrics.partitions import adapted_rand_error, rand_foreground, variation_of_information
from benchmark.metrics.pointwise import (
    affine_fit,
    nrmse,
    nrmse_affine,
    percentile_normalised,
    percentile_range,
    psnr,
    psnr_affine,
)
from benchmark.metrics.resolution import frc_resolution, frc_resolution_single
from benchmark.metrics.structural import ms_ssim, ms_ssim_affine, ssim, ssim_affine

__all__ = [
    "Metric",
    "adapted_rand_error",
    "affine_fit",
    "average_precision",
    "boundary_f",
    "coco_ap50",
    "dice",
    "dice_per_class",
    "frc_resolution",
    "frc_resolution_single",
    "iou",
    "iou_per_class",
    "ms_ssim",
    "ms_ssim_affine",
    "nrmse",
    "nrmse_affine",
    "panoptic_quality",
    "percentile_normalised",
    "percentile_range",
    "psnr",
    "psnr_affine",
    "rand_foreground",
    "ssim",
    "ssim_affine",
    "variation_of_information",
]
