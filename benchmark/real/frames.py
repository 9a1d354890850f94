"""Real repeated acquisitions: one frame is restored, the other judges."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from benchmark.cases import Case, OtherFrame
from benchmark.errors import BenchmarkError
from benchmark.metrics import affine_fit
from benchmark.real.sources import Part
from benchmark.real.table import Pairing, RealCase, SecondFrame
from benchmark.real.windows import windows
from model_library.degradation.noise import estimate_noise
from model_library.images.frame import Grey
from model_library.images.readers import read_micrograph, read_stack

_SMOOTHING_PX = 2.0


@dataclass(frozen=True, slots=True)
class FramePair:
    """Two acquisitions of one place, float32 [Y, X] in the counts of the first.

    `alike` tells that both have the same noise.
    """

    name: str
    first: Grey
    second: Grey
    alike: bool


def frame_cases(
    case: RealCase, how: SecondFrame, data: Path, part: Part, rng: np.random.Generator
) -> tuple[Case, ...]:
    """Cut windows out of pairs of frames; each place is a field of view, both directions belong to it.

    The noise of the judging frame is half the mean squared difference where both frames are alike, else
    the estimate on that frame. It is the same for every method, so it moves no difference between them.
    """
    tuning = part is Part.TUNING
    side, count = (case.tuning_px, case.tuning_images) if tuning else (case.crop_px, case.windows)
    pairs = list(frame_pairs(case, how, data, part))
    shape = (pairs[0].first.shape[0], pairs[0].first.shape[1])
    chosen = windows(shape, side, count, rng, part if case.source.divided else None)
    cases = []
    for pair in pairs:
        span = _span(pair.first)
        for number, window in enumerate(chosen):
            first, second = pair.first[window], pair.second[window]
            variance = _noise_variance(first, second, pair.alike)
            # Files of a source that is not divided show places of their own.
            place = f"{number}" if case.source.divided else f"{pair.name}#{number}"
            cases.append(
                Case(f"{part}:{place}", f"{pair.name}#{number}", first, OtherFrame(second, variance, span))
            )
    return tuple(cases)


def frame_pairs(case: RealCase, how: SecondFrame, data: Path, part: Part) -> Iterator[FramePair]:
    """Read the pairs of a part.

    Raises
    ------
    BenchmarkError
        A second frame is missing or of another size.
    ImageError
        A file is of a format that needs an extra which is not installed.
    """
    files = case.source.files(data, part)
    match how.pairing:
        case Pairing.HIGH_SNR:
            for path in files:
                yield _with_long_exposure(path)
        case Pairing.FILES:
            yield from _both_ways([read_micrograph(path).grey for path in files], case.source.id)
        case Pairing.PAGES:
            for path in files:
                pages = [frame.grey for frame in read_stack(path)]
                yield from _both_ways(_aligned(pages, how.shifts_px), path.stem)


def _both_ways(frames: list[Grey], name: str) -> Iterator[FramePair]:
    if len(frames) < 2 or len({frame.shape for frame in frames}) > 1:
        raise BenchmarkError(
            f"expected at least 2 frames of one size of {name}, found {[frame.shape for frame in frames]}"
        )
    for number in range(len(frames) - 1):
        a, b = frames[number], frames[number + 1]
        yield FramePair(f"{name}:{number}-{number + 1}", a, b, alike=True)
        yield FramePair(f"{name}:{number + 1}-{number}", b, a, alike=True)


def _aligned(pages: list[Grey], shifts_px: tuple[tuple[int, int], ...]) -> list[Grey]:
    """Move pages by whole pixels onto page 0, and cut to what all of them show."""
    if not shifts_px:
        return pages
    if len(shifts_px) != len(pages):
        raise BenchmarkError(f"expected {len(shifts_px)} pages, found {len(pages)}; correct shifts_px")
    margin = max(abs(step) for shift in shifts_px for step in shift)
    inner = slice(margin, -margin or None)
    return [
        np.roll(page, shift, axis=(0, 1))[inner, inner] for page, shift in zip(pages, shifts_px, strict=True)
    ]


def _with_long_exposure(path: Path) -> FramePair:
    other = path.with_name(path.name.replace("_lowsnr", "_highsnr"))
    if other == path or not other.is_file():
        raise BenchmarkError(f"expected a long exposure {other.name} beside {path}, found none")
    first, second = _stained(path), _stained(other)
    if first.shape != second.shape:
        raise BenchmarkError(f"expected {other.name} of shape {first.shape}, found {second.shape}")
    # Every file was stretched to 8 bits on its own.
    gain, offset = affine_fit(second, first)
    onto_first = (np.float32(gain) * second + np.float32(offset)).astype(np.float32)
    return FramePair(path.stem, first, onto_first, alike=False)


def _stained(path: Path) -> Grey:
    """Read a picture of one dye, shown in false colour: its only channel that is not empty, [Y, X]."""
    from skimage.io import imread

    pixels = np.asarray(imread(path), dtype=np.float32)
    return pixels if pixels.ndim == 2 else pixels[..., :3].max(axis=-1)


def _noise_variance(first: Grey, second: Grey, alike: bool) -> float:
    if alike:
        return float(np.mean(np.square(first.astype(np.float64) - second))) / 2
    noise = estimate_noise([second])
    return float(noise.variance(gaussian_filter(second, _SMOOTHING_PX)).mean())


def _span(pixels: Grey) -> float:
    low, high = np.percentile(gaussian_filter(pixels, _SMOOTHING_PX), (1, 99))
    return max(float(high - low), 1e-6)
