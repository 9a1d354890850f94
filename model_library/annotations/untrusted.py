"""Guards against files of annotations from elsewhere: too large, growing when parsed, naming other folders.

Nothing is ever unpacked to a folder; names are refused all the same, because images are looked up by them.
"""

import io
import json
import lzma
import re
import xml.etree.ElementTree as ET
import zipfile
import zlib
from xml.parsers import expat

from model_library.errors import AnnotationError
from model_library.images.limits import DEFAULT_LIMITS

LARGEST_SIDE_PX = 1 << 16

_MOST_BYTES = 256 << 20
_MOST_MEMBERS = 1 << 16
_BROKEN_ZIP = (
    KeyError,
    ValueError,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""All that `zipfile` raises on damaged, encrypted or exotic archives."""
_LEAVES = re.compile(r"[\\/]|[A-Za-z]:|(.*[\\/])?\.\.([\\/].*)?$", re.DOTALL)
"""Absolute, of a drive, or with a step upwards."""


def member_of(content: bytes, member: str, name: str) -> bytes:
    """Return a file as it is, or, if it is a zip, one member of it.

    Raises
    ------
    AnnotationError
        The zip is broken, lacks the member, holds path names that leave its folder, or either is too large.
    """
    refuse_large(content, name)
    if not content.startswith(b"PK"):
        return content
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
            if len(names) > _MOST_MEMBERS or names.count(member) > 1:
                raise AnnotationError(
                    f"{name}: expected a zip with one {member} and at most {_MOST_MEMBERS} files, found "
                    f"{names.count(member)} and {len(names)}; export the task again"
                )
            for each in names:
                refuse_outside(each, name)
            with archive.open(member) as opened:
                # The size that a zip declares may be a lie.
                unpacked = opened.read(_MOST_BYTES + 1)
    except _BROKEN_ZIP as error:
        raise AnnotationError(
            f"{name}: expected a zip with {member}, found {error}; export the task as CVAT for images 1.1"
        ) from error
    refuse_large(unpacked, name)
    return unpacked


def parse_xml(content: bytes, name: str) -> ET.Element:
    """Parse XML that declares no document type, so entities cannot grow.

    Raises
    ------
    AnnotationError
        It declares one, or is malformed.
    """

    def refuse(*_: object) -> None:
        raise AnnotationError(
            f"{name}: expected XML without a document type, found one (it could exhaust memory); remove it"
        )

    guard = expat.ParserCreate()
    guard.StartDoctypeDeclHandler = refuse
    guard.EntityDeclHandler = refuse
    try:
        guard.Parse(content, True)
        return ET.fromstring(content)  # noqa: S314
    except (expat.ExpatError, ET.ParseError, ValueError, LookupError) as error:
        raise AnnotationError(
            f"{name}: expected an XML file of CVAT, found {error}; export the annotations again"
        ) from error


def parse_json(content: bytes, name: str) -> object:
    """Parse JSON without NaN and infinity.

    Raises
    ------
    AnnotationError
        It is malformed, nested too deeply, or too large.
    """

    def refuse(constant: str) -> None:
        raise ValueError(f"the number {constant}")

    refuse_large(content, name)
    try:
        return json.loads(content, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise AnnotationError(
            f"{name}: expected a JSON file of VIA or COCO, found {error}; export the annotations again"
        ) from error


def refuse_large(content: bytes, name: str) -> None:
    """Refuse more bytes than annotations have.

    Raises
    ------
    AnnotationError
        There are more.
    """
    if len(content) > _MOST_BYTES:
        raise AnnotationError(
            f"{name}: expected at most {_MOST_BYTES} bytes of annotations, found more; export fewer images "
            "at a time"
        )


def refuse_outside(path: str, where: str) -> None:
    """Refuse a path name that leaves the folder that it is relative to.

    Raises
    ------
    AnnotationError
        It is absolute, names a drive, or steps upwards.
    """
    if _LEAVES.match(path):
        raise AnnotationError(
            f"{where}: expected a name inside the folder of images, found {path[:80]!r}; rename the file"
        )


def refuse_size(width: int, height: int, where: str) -> None:
    """Refuse sizes that no image which Synoptic reads has.

    Raises
    ------
    AnnotationError
        A side is not positive, or there are too many pixels.
    """
    sides = 0 < width <= LARGEST_SIDE_PX and 0 < height <= LARGEST_SIDE_PX
    if not sides or width * height > DEFAULT_LIMITS.max_pixels:
        raise AnnotationError(
            f"{where}: expected a size in pixels, of at most {DEFAULT_LIMITS.max_pixels} in all, found "
            f"{width} x {height}; export it again"
        )
