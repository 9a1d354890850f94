"""What a site's computer can do, measured once by `synoptic site calibrate`."""

from pydantic import Field

from model_library.wire.base import Message


class FamilyThroughput(Message):
    """How fast one family of networks runs on the site, measured on one member of it.

    Attributes
    ----------
    family
        The architecture, as `NetworkConfig.kind` names it.
    flops_per_pixel
        Of the member that was measured, per input pixel.
    mpix_per_s
        Megapixels of input per second, whole images, with the engine that calibration chose.
    """

    family: str
    flops_per_pixel: int = Field(gt=0)
    mpix_per_s: float = Field(gt=0)


class ComputeFacts(Message):
    """A site's compute: threads and memory that its settings allow, and throughput per family."""

    threads: int = Field(ge=1)
    memory_bytes: int = Field(gt=0)
    engine: str
    families: tuple[FamilyThroughput, ...] = ()

    def mpix_per_s(self, family: str, flops_per_pixel: int) -> float | None:
        """Predict the throughput of a network from its family's; None for a family never measured.

        Within a family time grows with the arithmetic, so the rate is scaled by FLOPs per pixel.
        """
        for measured in self.families:
            if measured.family == family:
                return measured.mpix_per_s * measured.flops_per_pixel / flops_per_pixel
        return None
