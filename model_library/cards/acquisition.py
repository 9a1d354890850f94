"""How the images that a network learned from were acquired, and whether others were acquired alike."""

from collections.abc import Iterable
from typing import Self

from model_library.wire.base import Message
from model_library.wire.images import AcquisitionFacts

Span = tuple[float, float]
"""Least and greatest value."""

MOST_KV_RATIO = 2.0
"""The interaction volume grows by about its 1.7th power: twice the voltage shows another depth."""
MOST_DOSE_RATIO = 4.0
"""Four times the dose is half the noise."""

_ANGSTROMS_PER_NM = 10.0
_PER_PIXEL = "electrons per pixel"


class AcquisitionRange(Message):
    """What the files of several images told, or a recipe plants; None and empty where nothing does.

    Attributes
    ----------
    beam_kv, dose_e_per_A2, dwell_us
        Least and greatest, in the units of `AcquisitionFacts`.
    dose_e_per_px
        Electrons per acquired pixel where the image is brightest: what a recipe plants.
    detectors
        As the instruments call them, sorted.
    """

    beam_kv: Span | None = None
    dose_e_per_A2: Span | None = None  # noqa: N815 - the unit is written so
    dwell_us: Span | None = None
    dose_e_per_px: Span | None = None
    detectors: tuple[str, ...] = ()

    @classmethod
    def of(cls, told: Iterable[AcquisitionFacts | None]) -> Self | None:
        """Span what images tell; None where they tell nothing of it."""
        known = [each for each in told if each is not None]
        found = cls(
            beam_kv=_span(each.beam_kv for each in known),
            dose_e_per_A2=_span(each.dose_e_per_A2 for each in known),
            dwell_us=_span(each.dwell_us for each in known),
            detectors=tuple(sorted({each.detector for each in known if each.detector is not None})),
        )
        return None if found == cls() else found

    def on_pixels(self, pixel_size_nm: float | None) -> Self:
        """Tell the dose per pixel too, where that per area and the side of a pixel are known."""
        if self.dose_e_per_A2 is None or pixel_size_nm is None:
            return self
        low, high = (dose * (_ANGSTROMS_PER_NM * pixel_size_nm) ** 2 for dose in self.dose_e_per_A2)
        return self.model_copy(update={"dose_e_per_px": (low, high)})

    def unlike(self, images: "AcquisitionRange") -> str | None:
        """Say in words why a network of this range is not for images of another one; None if it may be.

        The voltage may be off by a factor of two and the dose by one of four, beyond either end. What is
        not known of either decides nothing, nor do dwell times (without a beam current) and detectors' names.
        """
        for name, unit, most, own, theirs in (
            ("a beam", "kV", MOST_KV_RATIO, self.beam_kv, images.beam_kv),
            ("a dose", "e/Å²", MOST_DOSE_RATIO, self.dose_e_per_A2, images.dose_e_per_A2),
            ("a dose", _PER_PIXEL, MOST_DOSE_RATIO, self.dose_e_per_px, images.dose_e_per_px),
        ):
            if own is not None and theirs is not None and _apart(own, theirs) > most:
                found = f"{_words(theirs)} {unit}"
                return f"learned from {name} of {_words(own)} {unit}, and the images have {found}"
        return None

    @property
    def told(self) -> str:
        """The range in words, as in "5 to 10 kV, 2 us per pixel, detector ETD"."""
        spans = (
            (self.beam_kv, "kV"),
            (self.dose_e_per_A2, "e/Å²"),
            (self.dwell_us, "us per pixel"),
            (self.dose_e_per_px, _PER_PIXEL),
        )
        parts = [f"{_words(span)} {unit}" for span, unit in spans if span is not None]
        return ", ".join((*parts, *(f"detector {name}" for name in self.detectors)))


def _span(values: Iterable[float | None]) -> Span | None:
    told = [value for value in values if value is not None]
    return (min(told), max(told)) if told else None


def _apart(one: Span, other: Span) -> float:
    """Ratio by which the nearest ends of two spans differ; at most 1 where they meet."""
    return max(one[0] / other[1], other[0] / one[1])


def _words(span: Span) -> str:
    low, high = span
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
