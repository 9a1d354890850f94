"""OME-XML, the part of it that one grey image needs (OME 2016-06 schema).

Acquisition facts and provenance travel as key-value pairs (`MapAnnotation`), each in a namespace.
"""

import dataclasses
import re
import xml.etree.ElementTree as ET

from model_library.errors import NotAnImage, UnsupportedImage

OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
ACQUISITION = "synoptic/acquisition"
PROVENANCE = "synoptic/provenance"

_NANOMETRES = {"m": 1e9, "mm": 1e6, "um": 1e3, "\u00b5m": 1e3, "\u03bcm": 1e3, "nm": 1.0, "pm": 1e-3}
_NANOMETRES |= {"\u00c5": 0.1, "\u212b": 0.1, "micron": 1e3, "microns": 1e3, "\\u00B5m": 1e3}
_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TYPES = {"uint8": "uint8", "uint16": "uint16", "float32": "float"}


@dataclasses.dataclass(frozen=True, slots=True)
class OmeFacts:
    """What an image's OME-XML says besides its array.

    Attributes
    ----------
    pixel_size_nm
        Side of a pixel in nanometres; None where unknown.
    field
        Stage label; None where there is none.
    pairs
        Namespace -> key -> value.
    """

    pixel_size_nm: float | None = None
    field: str | None = None
    pairs: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)


def nanometres(value: float, unit: str) -> float | None:
    """Convert a length; None where the unit is unknown or the length is not positive and finite."""
    factor = _NANOMETRES.get(unit.strip())
    return value * factor if factor is not None and 0 < value < float("inf") else None


def write_ome(shape: tuple[int, int], dtype: str, facts: OmeFacts) -> str:
    """OME-XML of one grey image, in ASCII as TIFF demands (other characters as references).

    Parameters
    ----------
    shape
        [Y, X] in pixels.
    dtype
        "uint8", "uint16" or "float32".
    facts
        What to say besides.

    Raises
    ------
    UnsupportedImage
        A label, key or value holds characters that XML cannot carry.
    """
    root = ET.Element("OME", {"xmlns": OME, "Creator": "Synoptic"})
    image = ET.SubElement(root, "Image", {"ID": "Image:0"})
    if facts.field is not None:
        ET.SubElement(image, "StageLabel", {"Name": _carried(facts.field)})
    attributes = {"ID": "Pixels:0", "DimensionOrder": "XYCZT", "Type": _TYPES[dtype]}
    attributes |= {"SizeX": str(shape[1]), "SizeY": str(shape[0]), "SizeC": "1", "SizeZ": "1", "SizeT": "1"}
    if facts.pixel_size_nm is not None:
        for axis in "XY":
            attributes |= {f"PhysicalSize{axis}": repr(float(facts.pixel_size_nm))}
            attributes |= {f"PhysicalSize{axis}Unit": "nm"}
    pixels = ET.SubElement(image, "Pixels", attributes)
    ET.SubElement(pixels, "Channel", {"ID": "Channel:0:0", "SamplesPerPixel": "1"})
    ET.SubElement(pixels, "TiffData", {"IFD": "0", "PlaneCount": "1"})
    if facts.pairs:
        annotations = ET.SubElement(root, "StructuredAnnotations")
        for number, (namespace, pairs) in enumerate(facts.pairs.items()):
            name = f"Annotation:{number}"
            ET.SubElement(image, "AnnotationRef", {"ID": name})
            annotations.append(_annotation(name, namespace, pairs))
    body: bytes = ET.tostring(root, encoding="us-ascii")
    return '<?xml version="1.0" encoding="UTF-8"?>' + body.decode("ascii")


def read_ome(description: str, name: str) -> OmeFacts | None:
    """Facts of the first image of an OME-XML; None where a description is something else.

    Parameters
    ----------
    description
        ImageDescription of a TIFF page.
    name
        What messages call the file.

    Raises
    ------
    NotAnImage
        The text promises OME-XML but is not well formed, or defines entities.
    """
    if not description.rstrip("\0 \r\n").endswith("</OME>"):
        return None
    # Entities are the way in which XML is made to swallow memory; OME-XML has none.
    if "<!ENTITY" in description or "<!DOCTYPE" in description:
        raise NotAnImage(f"{name}: expected OME-XML without entities, found some; export the image again")
    try:
        root = ET.fromstring(description.rstrip("\0 \r\n"))  # noqa: S314
        space = {"ome": root.tag[1:].partition("}")[0]}
        pixels = root.find("ome:Image/ome:Pixels", space)
        stage = root.find("ome:Image/ome:StageLabel", space)
        size = None
        if pixels is not None and "PhysicalSizeX" in pixels.attrib:
            unit = pixels.get("PhysicalSizeXUnit", "\u00b5m")
            size = nanometres(float(pixels.attrib["PhysicalSizeX"]), unit)
        pairs: dict[str, dict[str, str]] = {}
        for annotation in root.iterfind("ome:StructuredAnnotations/ome:MapAnnotation", space):
            table = pairs.setdefault(annotation.get("Namespace", ""), {})
            for pair in annotation.iterfind("ome:Value/ome:M", space):
                table[pair.get("K", "")] = pair.text or ""
    except (ET.ParseError, ValueError, SyntaxError) as error:
        raise NotAnImage(f"{name}: expected OME-XML, found {error}; export the image again") from error
    return OmeFacts(size, stage.get("Name") if stage is not None else None, pairs)


def _annotation(name: str, namespace: str, pairs: dict[str, str]) -> ET.Element:
    annotation = ET.Element("MapAnnotation", {"ID": name, "Namespace": namespace})
    table = ET.SubElement(annotation, "Value")
    for key, value in pairs.items():
        ET.SubElement(table, "M", {"K": _carried(key)}).text = _carried(value)
    return annotation


def _carried(text: str) -> str:
    found = _NOT_XML.search(text)
    if found:
        raise UnsupportedImage(
            f"expected text that XML can carry, found {found.group()!r} in {text[:80]!r}; remove it"
        )
    return text
