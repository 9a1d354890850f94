"""What a site says about an image that it sends."""

from enum import StrEnum

from pydantic import Field

from model_library.wire.base import Message
from model_library.wire.methods import Sha256


class ImagePurpose(StrEnum):
    """Why an image leaves its site; no image leaves for any other purpose."""

    FIRST = "first_images"
    BENCHMARK = "benchmark_images"


class AcquisitionFacts(Message):
    """How an image was acquired, as far as its file tells.

    Attributes
    ----------
    beam_kv
        Accelerating voltage, kilovolts.
    dose_e_per_A2
        Electrons per square Ångström.
    dwell_us
        Microseconds per pixel of a scan.
    detector
        As the instrument calls it.
    magnification
        As the instrument shows it.
    """

    beam_kv: float | None = Field(default=None, gt=0)
    dose_e_per_A2: float | None = Field(default=None, gt=0)  # noqa: N815 - the unit is written so
    dwell_us: float | None = Field(default=None, gt=0)
    detector: str | None = Field(default=None, max_length=100)
    magnification: float | None = Field(default=None, gt=0)


class ImageDeclaration(Message):
    """One image on offer; `(instrument, purpose, sequence)` names it once and for all.

    `sequence` counts the instrument's accepted frames from 1. `field` is the field of view (a
    stage label); images of one field always fall into the same split. `bytes` and `sha256` are those of
    what is sent, which a site's policy may have made of the acquired file.
    """

    purpose: ImagePurpose
    sequence: int = Field(ge=1)
    file_name: str = Field(max_length=255)
    bytes: int = Field(ge=1)
    sha256: Sha256
    field: str | None = Field(default=None, max_length=200)
    pixel_size_nm: float | None = Field(default=None, gt=0)
    acquisition: AcquisitionFacts | None = None
