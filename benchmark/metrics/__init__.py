"""Figures of merit, by numpy and scipy alone (COCO's by pycocotools)."""

from benchmark.metrics.detection import average_precision, coco_ap50
from benchmark.metrics.metric import Metric
from benchmark.metrics.overlap import dice, iou
from benchmark.metrics.partitions import rand_foreground, variation_of_information
from benchmark.metrics.pointwise import affine_fit, nrmse, psnr, psnr_affine
from benchmark.metrics.resolution import frc_resolution, frc_resolution_single
from benchmark.metrics.structural import ssim

__all__ = [
    "Metric",
    "affine_fit",
    "average_precision",
    "coco_ap50",
    "dice",
    "frc_resolution",
    "frc_resolution_single",
    "iou",
    "nrmse",
    "psnr",
    "psnr_affine",
    "rand_foreground",
    "ssim",
    "variation_of_information",
]
