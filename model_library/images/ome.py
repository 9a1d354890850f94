"""OME-XML, the part of it that one grey image needs (OME 2016-06 schema).

Acquisition facts and provenance travel as key-value pairs (`MapAnnotation`), each in a namespace.
"""

import dataclasses
import re
import xml.etree.ElementTree as ET
from math import prod

from model_library.errors import NotAnImage, UnsupportedImage
from model_library.images.pixel_size import UNKNOWN_SIZE, PixelSize, nanometres

OME = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
ACQUISITION = "synoptic/acquisition"
PROVENANCE = "synoptic/provenance"

_NOT_XML = re.compile("[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TYPES = {"uint8": "uint8", "uint16": "uint16", "float32": "float"}


@dataclasses.dataclass(frozen=True, slots=True)
class OmeFacts:
    """What an image's OME-XML says besides its array.

    Attributes
    ----------
    pixel_size
        Size of a pixel along y, x and z.
    field
        Stage label; None where there is none.
    pairs
        Namespace -> key -> value.
    planes
        How its planes follow one another, the slowest first: axis (T, Z or C) and length.
    """

    pixel_size: PixelSize = UNKNOWN_SIZE
    field: str | None = None
    pairs: dict[str, dict[str, str]] = dataclasses.field(default_factory=dict)
    planes: tuple[tuple[str, int], ...] = ()


def write_ome(shape: tuple[int, int], dtype: str, facts: OmeFacts, *, samples: int = 1) -> str:
    """OME-XML of one image, in ASCII as TIFF demands (other characters as references).

    Parameters
    ----------
    shape
        [Y, X] in pixels.
    dtype
        "uint8", "uint16" or "float32".
    facts
        What to say besides; its planes are the pages of the file, one grey page where there are none.
    samples
        Values per pixel: 3 for RGB.

    Raises
    ------
    UnsupportedImage
        A label, key or value holds characters that XML cannot carry.
    """
    root = ET.Element("OME", {"xmlns": OME, "Creator": "Synoptic"})
    image = ET.SubElement(root, "Image", {"ID": "Image:0"})
    if facts.field is not None:
        ET.SubElement(image, "StageLabel", {"Name": _carried(facts.field)})
    lengths = {"C": 1, "Z": 1, "T": 1} | dict(facts.planes)
    # The schema names the fastest axis first.
    fastest = [axis for axis, _ in reversed(facts.planes)]
    order = "XY" + "".join([*fastest, *(axis for axis in "CZT" if axis not in fastest)])
    attributes = {"ID": "Pixels:0", "DimensionOrder": order, "Type": _TYPES[dtype]}
    attributes |= {"SizeX": str(shape[1]), "SizeY": str(shape[0])}
    attributes |= {
        "SizeC": str(lengths["C"] * samples),
        "SizeZ": str(lengths["Z"]),
        "SizeT": str(lengths["T"]),
    }
    sizes = (facts.pixel_size.x_nm, facts.pixel_size.y_nm, facts.pixel_size.z_nm)
    for axis, size in zip("XYZ", sizes, strict=True):
        if size is not None:
            attributes |= {f"PhysicalSize{axis}": repr(float(size)), f"PhysicalSize{axis}Unit": "nm"}
    pixels = ET.SubElement(image, "Pixels", attributes)
    for channel in range(lengths["C"]):
        told = {"ID": f"Channel:0:{channel}", "SamplesPerPixel": str(samples)}
        ET.SubElement(pixels, "Channel", told)
    ET.SubElement(pixels, "TiffData", {"IFD": "0", "PlaneCount": str(prod(lengths.values()))})
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
        attributes = {} if pixels is None else pixels.attrib
        size, planes = _pixel_size(attributes), _planes(attributes)
        pairs: dict[str, dict[str, str]] = {}
        for annotation in root.iterfind("ome:StructuredAnnotations/ome:MapAnnotation", space):
            table = pairs.setdefault(annotation.get("Namespace", ""), {})
            for pair in annotation.iterfind("ome:Value/ome:M", space):
                table[pair.get("K", "")] = pair.text or ""
    except (ET.ParseError, ValueError, SyntaxError) as error:
        raise NotAnImage(f"{name}: expected OME-XML, found {error}; export the image again") from error
    return OmeFacts(size, stage.get("Name") if stage is not None else None, pairs, planes)


def _pixel_size(attributes: dict[str, str]) -> PixelSize:
    sizes = {
        axis: nanometres(
            float(attributes[f"PhysicalSize{axis}"]), attributes.get(f"PhysicalSize{axis}Unit", "\u00b5m")
        )
        for axis in "YXZ"
        if f"PhysicalSize{axis}" in attributes
    }
    return PixelSize.of(sizes.get("Y"), sizes.get("X"), sizes.get("Z"))


def _planes(attributes: dict[str, str]) -> tuple[tuple[str, int], ...]:
    order = attributes.get("DimensionOrder", "")
    # The schema names the fastest axis first.
    return tuple((axis, int(attributes.get(f"Size{axis}", "1"))) for axis in reversed(order) if axis in "TZC")


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
