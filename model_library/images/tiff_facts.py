"""What a page of a TIFF says about itself: pixel size, field of view, the instrument's own tags."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from model_library.errors import ImageError, NotAnImage
from model_library.images import tiff_pixel_size
from model_library.images.ome import OmeFacts, read_ome
from model_library.images.pixel_size import UNKNOWN_SIZE, PixelSize

_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 282, 283, 296
_FEI, _ZEISS, _OLYMPUS, _TVIPS = (34682, 34680), (34118,), (33560,), (37706,)
_LONGEST_TEXT = 500
_JEOL = {
    "ElectronGun.AccelerationVoltage": re.compile(r"<AccelerationVoltage>\s*([\d.eE+]+)\s*<"),
    "ImageFormingSystem.SelectorValue": tiff_pixel_size.JEOL_MAGNIFICATION,
    "ImageSourceDetector": re.compile(r"<ImageSourceDetector>\s*([^<]{1,100}?)\s*<"),
}


def page_facts(tiff: Any, index: int, name: str) -> OmeFacts:  # noqa: ANN401
    """Pixel size, stage label, pairs and order of planes.

    Parameters
    ----------
    tiff
        Open `tifffile.TiffFile`.
    index
        Number of the page; tags that an instrument wrote into the first page alone hold for all.
    name
        What messages call the file.

    Raises
    ------
    NotAnImage
        A tag or an OME-XML is damaged.
    """
    try:
        page = tiff.pages[index]
        description = str(page.description)
        ome = read_ome(description, name) or OmeFacts()
        size = ome.pixel_size if ome.pixel_size.is_known else _size_from_tags(tiff, page, description)
    except ImageError:
        raise
    except Exception as error:
        raise undecodable(name, error) from error
    return OmeFacts(size, ome.field, ome.pairs, ome.planes)


def vendor_pairs(tiff: Any, index: int) -> dict[str, str]:  # noqa: ANN401
    """Tags of FEI, Zeiss, Olympus and TVIPS as text by name, sections joined by dots; some of JEOL's XML."""
    page = tiff.pages[index]
    pairs: dict[str, str] = {}
    for codes in (_FEI, _ZEISS, _OLYMPUS, _TVIPS):
        pairs |= dict(_flattened(_tags(tiff, page, codes), ""))
    description = str(tiff.pages[0].description)
    if "<TemReporter" in description:
        found = {name: pattern.search(description) for name, pattern in _JEOL.items()}
        pairs |= {name: match.group(1) for name, match in found.items() if match}
    return pairs


def image_rows(tiff: Any, index: int) -> int | None:  # noqa: ANN401
    """Rows of the specimen's image above the data bar, where FEI and Thermo Fisher tell; else None."""
    page = tiff.pages[index]
    image = _tags(tiff, page, _FEI).get("Image", {})
    rows, columns = (
        (image.get(f"Resolution{axis}") for axis in "YX") if isinstance(image, Mapping) else (0, 0)
    )
    # A zoom or a crop after acquisition makes the tag meaningless: then the columns differ as well.
    told = isinstance(rows, int) and columns == page.imagewidth and 0 < rows < page.imagelength
    return rows if told else None


def undecodable(name: str, error: Exception) -> NotAnImage:
    """Put what a decoder stumbled on into words."""
    return NotAnImage(
        f"{name}: expected a TIFF that decodes, found {type(error).__name__}: {str(error)[:99]}; export again"
    )


def _size_from_tags(tiff: Any, page: Any, description: str) -> PixelSize:  # noqa: ANN401
    resolution = page.tags.valueof(_Y_RESOLUTION), page.tags.valueof(_X_RESOLUTION)
    unit = int(page.tags.valueof(_RESOLUTION_UNIT, 2))
    found = (
        tiff_pixel_size.from_fei(_tags(tiff, page, _FEI)),
        tiff_pixel_size.from_zeiss(_tags(tiff, page, _ZEISS), page.imagewidth),
        tiff_pixel_size.from_olympus(_tags(tiff, page, _OLYMPUS)),
        tiff_pixel_size.from_tvips(_tags(tiff, page, _TVIPS)),
        tiff_pixel_size.from_jeol(description, resolution, unit),
        tiff_pixel_size.from_description(description, resolution),
    )
    if "<TemReporter" in description:
        # The resolution of a SightX is that of its detector: without magnification it says nothing.
        return next((size for size in found if size.is_known), UNKNOWN_SIZE)
    return next((size for size in found if size.is_known), tiff_pixel_size.from_resolution(resolution, unit))


def _tags(tiff: Any, page: Any, codes: tuple[int, ...]) -> Mapping[str, Any]:  # noqa: ANN401
    for owner in (page, tiff.pages[0]):
        for code in codes:
            value = owner.tags.valueof(code)
            if isinstance(value, Mapping) and value:
                return value
    return {}


def _flattened(tags: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, value in tags.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flattened(value, f"{name}.")
        elif key and len(text := _text(value)) <= _LONGEST_TEXT:
            yield name, text


def _text(value: object) -> str:
    # Zeiss: label, value and, for quantities, unit.
    return " ".join(map(str, value[1:])) if isinstance(value, tuple) and len(value) > 1 else str(value)
