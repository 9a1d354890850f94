"""What follows from the steps of a graph: channels, scale, stride, and how far a pixel reaches."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cache
from math import ceil, lcm
from typing import assert_never

from model_library.networks.graph_config import (
    Activate,
    Combine,
    Convolve,
    Enlarge,
    GraphConfig,
    Join,
    Pair,
    Pool,
    Rescale,
    Shuffle,
    Standardise,
    Step,
    sources,
)


@dataclass(frozen=True, slots=True)
class Reach:
    """Where in the image a value looks; lengths in input pixels, the same along Y and X.

    Pixel n of the value depends on input pixels `n * pitch + low` to `n * pitch + high` at most.
    `exact` says that it depends on nothing else.
    """

    channels: int
    pitch: Fraction
    low: Fraction
    high: Fraction
    exact: bool


@cache
def reaches(config: GraphConfig) -> tuple[Reach, ...]:
    """Follow the image through all steps; the first entry is the image, the last the output.

    Raises
    ------
    ValueError
        A step cannot follow on those before it.
    """
    found = [Reach(config.in_channels, Fraction(1), Fraction(0), Fraction(0), exact=True)]
    for number, step in enumerate(config.steps):
        try:
            found.append(_after(step, [found[index] for index in sources(step)]))
        except ValueError as failure:
            raise ValueError(f"step {number} ({step.step}): {failure}") from None
    return tuple(found)


def graph_scale(config: GraphConfig) -> int:
    """Output pixels per input pixel along each axis; raises ValueError where that is no whole number."""
    scale = 1 / reaches(config)[-1].pitch
    if scale.denominator != 1:
        raise ValueError(f"expected an output at the sampling of the image or finer, found {scale} of it")
    return int(scale)


def graph_stride(config: GraphConfig) -> int:
    """Image sides must be multiples of this many pixels, so that no step rounds a size."""
    return lcm(*(reach.pitch.numerator for reach in reaches(config)))


def graph_radius(config: GraphConfig) -> int:
    """How far, in input pixels, an input pixel can influence the output (never too small)."""
    last = reaches(config)[-1]
    # Pixels of the output lie up to one input pixel less one pitch beyond their input pixel.
    return max(0, ceil(-last.low), ceil(last.high + 1 - last.pitch))


def graph_out_channels(config: GraphConfig) -> int:
    """Channels of the output."""
    return reaches(config)[-1].channels


def graph_exact(config: GraphConfig) -> bool:
    """Whether an output pixel depends on its surroundings alone."""
    return all(reach.exact for reach in reaches(config))


def _after(step: Step, before: Sequence[Reach]) -> Reach:
    first = before[0]
    match step:
        case Convolve():
            return _convolved(step, first)
        case Pool():
            return _windowed(first, step.kernel, step.stride, step.padding)
        case Activate():
            return first
        case Rescale():
            if step.channels != 1:
                _agreed(step.channels, first.channels)
            return first
        case Standardise():
            return replace(first, channels=_agreed(step.channels, first.channels), exact=False)
        case Combine() | Join():
            return _met(before, sum(each.channels for each in before) if isinstance(step, Join) else None)
        case Enlarge():
            return _enlarged(step, first)
        case Shuffle():
            if first.channels % step.factor**2:
                raise ValueError(f"expected a multiple of {step.factor**2} channels, found {first.channels}")
            finer = _finer(first, step.factor)
            return replace(finer, channels=first.channels // step.factor**2)
        case _:
            assert_never(step)


def _convolved(step: Convolve, first: Reach) -> Reach:
    outputs = step.outputs
    _agreed(step.inputs, first.channels)
    if not step.transposed:
        span = (_span(step.kernel[0], step.dilation[0]), _span(step.kernel[1], step.dilation[1]))
        return replace(_windowed(first, span, step.stride, step.padding), channels=outputs)
    stride = _same(step.stride)
    pitch = first.pitch / stride
    # Output j takes input (j + padding - m) / stride for the kernel's places m.
    most = max(_span(step.kernel[axis], step.dilation[axis]) - 1 - step.padding[axis] for axis in (0, 1))
    low, high = first.low - most * pitch, first.high + max(step.padding) * pitch
    return replace(first, channels=outputs, pitch=pitch, low=low, high=high)


def _windowed(first: Reach, span: Pair, stride: Pair, padding: Pair) -> Reach:
    after = max(span[axis] - 1 - padding[axis] for axis in (0, 1))
    return replace(
        first,
        pitch=first.pitch * _same(stride),
        low=first.low - max(padding) * first.pitch,
        high=first.high + max(after, 0) * first.pitch,
    )


def _enlarged(step: Enlarge, first: Reach) -> Reach:
    if step.mode == "nearest":
        return _finer(first, step.factor)
    pitch = first.pitch / step.factor
    centre = (pitch - first.pitch) / 2
    return replace(
        first, pitch=pitch, low=first.low + centre - first.pitch, high=first.high + centre + first.pitch
    )


def _finer(first: Reach, factor: int) -> Reach:
    pitch = first.pitch / factor
    return replace(first, pitch=pitch, low=first.low - (factor - 1) * pitch)


def _met(before: Sequence[Reach], joined: int | None) -> Reach:
    counts = {each.channels for each in before}
    if joined is None and len(counts - {1}) > 1:
        raise ValueError(f"expected values of as many channels, or of one, found {sorted(counts)}")
    pitches = {each.pitch for each in before}
    if len(pitches) != 1:
        raise ValueError(f"expected values of one sampling, found {sorted(map(str, pitches))}")
    return Reach(
        max(counts) if joined is None else joined,
        pitches.pop(),
        min(each.low for each in before),
        max(each.high for each in before),
        exact=all(each.exact for each in before),
    )


def _span(kernel: int, dilation: int) -> int:
    return (kernel - 1) * dilation + 1


def _same(stride: Pair) -> int:
    if stride[0] != stride[1]:
        raise ValueError(f"expected one stride along Y and X, found {stride}")
    return stride[0]


def _agreed(expected: int, found: int) -> int:
    if expected != found:
        raise ValueError(f"expected {expected} channels, found {found}")
    return expected
