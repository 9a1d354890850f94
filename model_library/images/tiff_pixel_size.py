"""The size of a pixel, from the several places in which instruments write it into a TIFF."""

import json
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

from model_library.images.pixel_size import UNKNOWN_SIZE, PixelSize, nanometres

LARGEST_NM = 10_000.0
"""Resolution tags that mean larger pixels are those of printers and screens (72, 300 dpi)."""

Ratio = tuple[int, int]
"""A rational number of TIFF: numerator, denominator."""

_CENTIMETRES = {2: 2.54, 3: 1.0}
_ZEISS_DISPLAY_PX = 1024
JEOL_MAGNIFICATION = re.compile(
    r"<ModeString>\s*MAG\s*</ModeString>(?:(?!</ImageFormingSystem>).)*?<SelectorValue>\s*([\d.eE+]+)\s*<",
    re.S,
)
"""Of a SightX in imaging mode: elsewhere the selector means a camera length."""


def from_fei(tags: Mapping[str, Any]) -> PixelSize:
    """Read tags 34680 and 34682 of FEI and Thermo Fisher: `Scan.PixelHeight`, `Scan.PixelWidth`, metres."""
    scan = tags.get("Scan", {})
    return PixelSize.of(*(_metres(scan.get(name)) for name in ("PixelHeight", "PixelWidth")))


def from_zeiss(tags: Mapping[str, Any], columns: int) -> PixelSize:
    """Read tag 34118 of Zeiss SEM.

    The stated pixel size alone is that of a display of 1024 pixels, whatever the image stored: the
    width of the field of view divided by the columns is the one that always holds.
    """
    image = _with_unit(tags.get("ap_image_pixel_size"))
    field = _with_unit(tags.get("ap_width"))
    display = _with_unit(tags.get("ap_pixel_size"))
    if image is None and field is not None and columns:
        image = field / columns
    if image is None and display is not None and columns:
        image = display * _ZEISS_DISPLAY_PX / columns
    return PixelSize.square(image)


def from_olympus(tags: Mapping[str, Any]) -> PixelSize:
    """Read tag 33560 of Olympus SIS: `pixelsizey`, `pixelsizex`, metres."""
    return PixelSize.of(*(_metres(tags.get(f"pixelsize{axis}")) for axis in "yx"))


def from_tvips(tags: Mapping[str, Any]) -> PixelSize:
    """Read tag 37706 of TVIPS EMMENU: `PixelSizeY`, `PixelSizeX`, nanometres."""
    sizes = (tags.get(f"PixelSize{axis}") for axis in "YX")
    return PixelSize.of(*(nanometres(size, "nm") if _is_number(size) else None for size in sizes))


def from_jeol(description: str, resolution: tuple[Ratio | None, Ratio | None], unit: int) -> PixelSize:
    """Read a JEOL SightX: resolution tags of the detector, divided by the magnification of its XML.

    Parameters
    ----------
    description
        ImageDescription: XML of a `TemReporter`.
    resolution
        YResolution and XResolution tags.
    unit
        ResolutionUnit tag.
    """
    found = JEOL_MAGNIFICATION.search(description) if "<TemReporter" in description else None
    try:
        magnification = float(found.group(1)) if found else 0.0
    except ValueError:
        return UNKNOWN_SIZE
    if magnification <= 0:
        return UNKNOWN_SIZE
    sizes = (_per_pixel(ratio, _CENTIMETRES.get(unit), "cm") for ratio in resolution)
    return PixelSize.of(*(None if size is None else size / magnification for size in sizes))


def from_description(description: str, resolution: tuple[Ratio | None, Ratio | None]) -> PixelSize:
    """Read a JSON description (`pixel_size_nm`) or an ImageJ one (`unit=`, `spacing=`).

    Parameters
    ----------
    description
        ImageDescription of the page.
    resolution
        YResolution and XResolution tags: pixels per unit.
    """
    text = description.strip("\0 \r\n")
    if text.startswith("{"):
        try:
            value = json.loads(text).get("pixel_size_nm")
        except (ValueError, RecursionError, AttributeError):
            return UNKNOWN_SIZE
        return PixelSize.square(nanometres(float(value), "nm") if _is_number(value) else None)
    unit = re.search(r"^unit=(.+)$", text, re.MULTILINE)
    if not text.startswith("ImageJ=") or not unit:
        return UNKNOWN_SIZE
    spacing = re.search(r"^spacing=([\d.eE+-]+)$", text, re.MULTILINE)
    depth = nanometres(float(spacing.group(1)), unit.group(1)) if spacing else None
    row, column = (_per_pixel(ratio, 1.0, unit.group(1)) for ratio in resolution)
    return PixelSize.of(row, column, depth)


def from_resolution(resolution: tuple[Ratio | None, Ratio | None], unit: int) -> PixelSize:
    """Read the resolution tags (TIFF 6.0: unit 2 inch, 3 centimetre).

    Unknown for resolutions of paper and screens, which say nothing of the specimen.
    """
    size = PixelSize.of(*(_per_pixel(ratio, _CENTIMETRES.get(unit), "cm") for ratio in resolution))
    return size if size.x_nm is not None and size.x_nm <= LARGEST_NM else UNKNOWN_SIZE


def _per_pixel(pixels_per: Ratio | None, units: float | None, unit: str) -> float | None:
    if units is None or pixels_per is None or not all(pixels_per):
        return None
    return nanometres(units * pixels_per[1] / pixels_per[0], unit)


def _metres(value: object) -> float | None:
    return nanometres(value, "m") if _is_number(value) else None


def _with_unit(entry: object) -> float | None:
    if isinstance(entry, tuple) and len(entry) >= 3 and _is_number(entry[1]):
        return nanometres(float(entry[1]), str(entry[2]))
    return None


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
