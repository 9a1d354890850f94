"""What a site says about an image that it sends."""

from enum import StrEnum

from pydantic import Field

from model_library.wire.base import Message
from model_library.wire.methods import Sha256


class ImagePurpose(StrEnum):
    """Why an image leaves its site; no image leaves for any other purpose."""

    FIRST = "first_images"
    BENCHMARK = "benchmark_images"


class ImageDeclaration(Message):
    """One image on offer; `(instrument, purpose, sequence)` names it once and for all.

    `sequence` counts the instrument's accepted frames from 1. `field` is the field of view (a
    stage label); images of one field always fall into the same split.
    """

    purpose: ImagePurpose
    sequence: int = Field(ge=1)
    file_name: str = Field(max_length=255)
    bytes: int = Field(ge=1)
    sha256: Sha256
    field: str | None = Field(default=None, max_length=200)
    pixel_size_nm: float | None = Field(default=None, gt=0)
