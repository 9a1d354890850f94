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
from model_library.images.contents import read_recording
from model_library.images.frame import Grey
from model_library.images.readers import read_micrograph

_SMOOTHING_PX, _SHADING_PX = 2.0, 12.0


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
                pages = [frame.grey for frame in read_recording(path).frames()]
                yield from _both_ways(_aligned(pages, how.drift_px), path.stem)


def _both_ways(frames: list[Grey], name: str) -> Iterator[FramePair]:
    if len(frames) < 2 or len({frame.shape for frame in frames}) > 1:
        raise BenchmarkError(
            f"expected at least 2 frames of one size of {name}, found {[frame.shape for frame in frames]}"
        )
    for number in range(len(frames) - 1):
        a, b = frames[number], frames[number + 1]
        yield FramePair(f"{name}:{number}-{number + 1}", a, b, alike=True)
        yield FramePair(f"{name}:{number + 1}-{number}", b, a, alike=True)


def _aligned(pages: list[Grey], drift_px: int) -> list[Grey]:
    """Move pages by whole pixels onto page 0, and cut to what all of them show."""
    if not drift_px:
        return pages
    shifts = [shift_onto(pages[0], page, drift_px) for page in pages]
    inner = slice(drift_px, -drift_px)
    return [
        np.roll(page, shift, axis=(0, 1))[inner, inner] for page, shift in zip(pages, shifts, strict=True)
    ]


def shift_onto(fixed: Grey, moving: Grey, most_px: int) -> tuple[int, int]:
    """Find the shift (y, x) by whole pixels that brings one image [Y, X] onto another.

    The maximum of the cross-correlation of both, smoothed against noise and rid of slow shading, within
    `most_px` along each axis.
    """
    spectra = [
        np.fft.rfft2(gaussian_filter(each, _SMOOTHING_PX) - gaussian_filter(each, _SHADING_PX))
        for each in (fixed, moving)
    ]
    found = np.fft.irfft2(spectra[0] * np.conj(spectra[1]), fixed.shape)
    reach = np.arange(-most_px, most_px + 1)
    y, x = np.unravel_index(int(np.argmax(found[np.ix_(reach, reach)])), (len(reach), len(reach)))
    return int(reach[y]), int(reach[x])


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
    found = read_recording(path)
    pixels = found.pixels.astype(np.float32)
    return pixels[..., :3].max(axis=-1) if found.axes.endswith("S") else pixels


def _noise_variance(first: Grey, second: Grey, alike: bool) -> float:
    if alike:
        return float(np.mean(np.square(first.astype(np.float64) - second))) / 2
    noise = estimate_noise([second])
    return float(noise.variance(gaussian_filter(second, _SMOOTHING_PX)).mean())


def _span(pixels: Grey) -> float:
    low, high = np.percentile(gaussian_filter(pixels, _SMOOTHING_PX), (1, 99))
    return max(float(high - low), 1e-6)
