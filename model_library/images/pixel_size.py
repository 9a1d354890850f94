"""The side of a pixel, from the several places in which instruments write it into a TIFF."""

import json
import re
from collections.abc import Mapping
from typing import Any

from model_library.images.ome import nanometres

LARGEST_NM = 10_000.0
"""Resolution tags that mean larger pixels are those of printers and screens (72, 300 dpi)."""

_CENTIMETRES = {2: 2.54, 3: 1.0}


def from_vendor(fei: Mapping[str, Any] | None, zeiss: Mapping[str, Any] | None) -> float | None:
    """Pixel side in nm from the private tags of FEI/Thermo Fisher or Zeiss SEM."""
    if fei:
        width = fei.get("Scan", {}).get("PixelWidth")
        if isinstance(width, int | float):
            return nanometres(float(width), "m")
    if zeiss:
        entry = zeiss.get("ap_image_pixel_size") or zeiss.get("ap_pixel_size")
        if isinstance(entry, tuple) and len(entry) >= 3 and isinstance(entry[1], int | float):
            return nanometres(float(entry[1]), str(entry[2]))
    return None


def from_description(description: str, resolution: tuple[int, int] | None) -> float | None:
    """Pixel side in nm from a JSON description (`pixel_size_nm`) or an ImageJ one (`unit=`).

    Parameters
    ----------
    description
        ImageDescription of the page.
    resolution
        XResolution tag: pixels per unit, as a ratio.
    """
    text = description.strip("\0 \r\n")
    if text.startswith("{"):
        try:
            value = json.loads(text).get("pixel_size_nm")
        except (ValueError, RecursionError):
            return None
        return nanometres(float(value), "nm") if isinstance(value, int | float) else None
    unit = re.search(r"^unit=(.+)$", text, re.MULTILINE)
    if text.startswith("ImageJ=") and unit and resolution and all(resolution):
        return nanometres(resolution[1] / resolution[0], unit.group(1))
    return None


def from_resolution(resolution: tuple[int, int] | None, unit: int) -> float | None:
    """Pixel side in nm from the resolution tags (TIFF 6.0: 2 inch, 3 centimetre).

    None for resolutions of paper and screens, which say nothing of the specimen.
    """
    centimetres = _CENTIMETRES.get(unit)
    if resolution is None or centimetres is None or not all(resolution):
        return None
    size = centimetres * 1e7 * resolution[1] / resolution[0]
    return size if size <= LARGEST_NM else None
