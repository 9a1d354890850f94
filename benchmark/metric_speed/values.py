"""Every metric's value beside that of a trusted implementation."""

from collections.abc import Callable, Iterator

import numpy as np

from benchmark import metrics
from benchmark.metric_speed import references as peer
from benchmark.metric_speed.scene import Scene, planted, scene
from benchmark.metrics.defects import defect_errors
from benchmark.metrics.detection import object_overlaps
from benchmark.metrics.pointwise import Pixels
from benchmark.metrics.resolution import crossing, half_bit, ring_correlation
from model_library.wire.base import Message

TOLERANCE = 1e-6
PLANTED = (0.1, 0.2, 0.3)
PLANTED_TOLERANCE = 0.01
"""In cycles per pixel."""
SINGLE_FINEST, SINGLE_TOLERANCE = 0.1, 0.2
"""Of one image's halves, to 20 %: on a cut-off as sharp as these, which no lens has, they claim too much."""
_PLANTED_SIDE_PX = 512


class ValueRow(Message):
    """A value of ours and of a reference on the same input; `agrees` if they differ by at most `tolerance`.

    Where the reference is not installed, `absent` says so and there is no reference value.
    """

    metric: str
    reference: str
    value: float
    reference_value: float | None = None
    difference: float | None = None
    tolerance: float = TOLERANCE
    agrees: bool | None = None
    absent: str | None = None


def compare_values(side_px: int, seed: int) -> tuple[ValueRow, ...]:
    """Compare all metrics on a drawn scene, and ring correlation on planted cut-offs."""
    drawn = scene(side_px, seed)
    return (*_restored(drawn), *_segmented(drawn), *_by_torchmetrics(drawn), *_resolved(drawn, seed))


def _row(
    metric: str, reference: str, value: float, expected: float, tolerance: float = TOLERANCE
) -> ValueRow:
    difference = abs(value - expected)
    return ValueRow(
        metric=metric,
        reference=reference,
        value=value,
        reference_value=expected,
        difference=difference,
        tolerance=tolerance,
        agrees=bool(difference <= tolerance),
    )


def _restored(drawn: Scene) -> Iterator[ValueRow]:
    from skimage.metrics import normalized_root_mse, peak_signal_noise_ratio

    image, truth, span = drawn.image, drawn.truth, drawn.data_range
    fitted = peer.least_squares(image, truth)

    def psnr(pixels: Pixels) -> float:
        return float(peak_signal_noise_ratio(truth, pixels, data_range=span))  # type: ignore[no-untyped-call]

    def nrmse(pixels: Pixels) -> float:
        return float(normalized_root_mse(truth, pixels))

    yield _row("psnr", "scikit-image", metrics.psnr(image, truth, span), psnr(image))
    yield _row("psnr_affine", "numpy + scikit-image", metrics.psnr_affine(image, truth, span), psnr(fitted))
    yield _row("nrmse", "scikit-image", metrics.nrmse(image, truth), nrmse(image))
    yield _row("nrmse_affine", "numpy + scikit-image", metrics.nrmse_affine(image, truth), nrmse(fitted))
    yield _row("ssim", "scikit-image", metrics.ssim(image, truth, span), peer.ssim(image, truth, span))
    yield _row(
        "ssim_affine",
        "numpy + scikit-image",
        metrics.ssim_affine(image, truth, span),
        peer.ssim(fitted, truth, span),
    )
    yield _row(
        "ms_ssim", "scikit-image", metrics.ms_ssim(image, truth, span), peer.ms_ssim(image, truth, span)
    )
    yield _row(
        "ms_ssim_affine",
        "numpy + scikit-image",
        metrics.ms_ssim_affine(image, truth, span),
        peer.ms_ssim(fitted, truth, span),
    )


def _segmented(drawn: Scene) -> Iterator[ValueRow]:
    from scipy.spatial import distance
    from skimage.metrics import adapted_rand_error, variation_of_information

    found, truth = drawn.found, drawn.objects
    inside, true_inside = (np.ravel(each > 0) for each in (found, truth))
    yield _row("dice", "scipy", metrics.dice(found, truth), 1 - distance.dice(inside, true_inside))
    yield _row("iou", "scipy", metrics.iou(found, truth), 1 - distance.jaccard(inside, true_inside))
    yield _row(
        "ap50",
        "scikit-image + scipy",
        metrics.average_precision(found, truth),
        peer.average_precision(found, truth),
    )
    error = adapted_rand_error(truth, found, ignore_labels=(0,))[0]  # type: ignore[no-untyped-call]
    yield _row("adapted_rand_error", "scikit-image", metrics.adapted_rand_error(found, truth), float(error))
    judged = truth > 0
    lost = variation_of_information(truth[judged][None], found[judged][None])  # type: ignore[no-untyped-call]
    for name, value, expected in zip(
        ("split", "merge"), metrics.variation_of_information(found, truth), lost, strict=True
    ):
        yield _row(f"variation_of_information_{name}", "scikit-image", value, float(expected))
    yield _row(
        "boundary_f",
        "scikit-image + scipy",
        metrics.boundary_f(found, truth, 2.0),
        peer.boundary_f(found, truth, 2.0),
    )
    yield from _measured(found, truth)
    if (missing := peer.PYCOCOTOOLS.missing) is not None:
        yield ValueRow(metric="object_iou", reference="pycocotools", value=0.0, absent=missing)
    else:
        yield _coco_iou(drawn)


def _measured(found: Pixels, truth: Pixels) -> Iterator[ValueRow]:
    """Compare number density, sizes, their distribution and the area fraction of objects."""
    errors = defect_errors(found, truth)
    own, actual = (peer.defects(each) for each in (found, truth))
    sizes = errors.truth.equivalent_diameter_px
    assert sizes is not None
    edges = sizes.histogram.edges
    for metric, value, expected in (
        ("density_per_megapixel", errors.truth.number_density_per_megapixel, actual.density_per_megapixel),
        ("mean_diameter_px", sizes.mean, float(np.mean(actual.diameters_px))),
        ("median_diameter_px", sizes.median, float(np.median(actual.diameters_px))),
        ("size_distribution_distance", errors.size_distribution_distance, own.distance(actual, edges)),
        ("area_fraction", errors.truth.area_fraction, actual.area_fraction),
    ):
        assert value is not None
        yield _row(metric, "scikit-image", value, expected)


def _coco_iou(drawn: Scene) -> ValueRow:
    """Sum of the IoU of all pairs, by pycocotools' run lengths."""
    from pycocotools import mask  # type: ignore[import-untyped]

    runs = [
        mask.encode(np.asfortranarray(labels == number, dtype=np.uint8))
        for labels in (drawn.found, drawn.objects)
        for number in range(1, int(labels.max()) + 1)
    ]
    own = int(drawn.found.max())
    expected = float(mask.iou(runs[:own], runs[own:], [0] * (len(runs) - own)).sum())
    return _row(
        "object_iou", "pycocotools", float(object_overlaps(drawn.found, drawn.objects).iou.sum()), expected
    )


def _by_torchmetrics(drawn: Scene) -> Iterator[ValueRow]:
    named: tuple[tuple[str, float, Callable[[Scene], Callable[[], float]]], ...] = (
        ("panoptic_quality", metrics.panoptic_quality(drawn.found, drawn.objects), peer.torch_panoptic),
        ("dice", metrics.dice(drawn.found, drawn.objects), peer.torch_dice),
    )
    missing = peer.TORCHMETRICS.missing
    for metric, value, reference in named:
        if missing is not None:
            yield ValueRow(metric=metric, reference="torchmetrics", value=value, absent=missing)
        else:
            yield _row(metric, "torchmetrics", value, reference(drawn)())


def _resolved(drawn: Scene, seed: int) -> Iterator[ValueRow]:
    own = ring_correlation(drawn.first, drawn.second).correlation
    plain = peer.ring_correlation(drawn.first, drawn.second)
    # The innermost rings hold single coefficients and are not asked for a resolution.
    worst = 3 + int(np.argmax(np.abs(own - plain)[3:]))
    yield _row("ring_correlation (worst ring)", "complex128", float(own[worst]), float(plain[worst]))
    for cut_off in PLANTED:
        pair = planted(cut_off, _PLANTED_SIDE_PX, seed)
        frequency = 1 / metrics.frc_resolution(*pair)
        yield _row("frc, cycles/px", f"planted {cut_off}", frequency, cut_off, PLANTED_TOLERANCE)
        rings = ring_correlation(*pair)
        by_half_bit = crossing(rings, half_bit(rings.samples))
        yield _row(
            "frc by half-bit, cycles/px", f"planted {cut_off}", by_half_bit, cut_off, PLANTED_TOLERANCE
        )
        if cut_off <= SINGLE_FINEST:
            single = 1 / metrics.frc_resolution_single(pair[0])
            share = SINGLE_TOLERANCE * cut_off
            yield _row("frc of one image, cycles/px", f"planted {cut_off}", single, cut_off, share)
