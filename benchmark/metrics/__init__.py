"""Figures of merit, by numpy and scipy alone."""

from benchmark.metrics.metric import Metric
from benchmark.metrics.overlap import dice
from benchmark.metrics.pointwise import affine_fit, nrmse, psnr, psnr_affine
from benchmark.metrics.structural import ssim

__all__ = ["Metric", "affine_fit", "dice", "nrmse", "psnr", "psnr_affine", "ssim"]
