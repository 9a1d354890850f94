"""What the inference benchmark reports, and how figures become ratios: pure."""

from statistics import median
from typing import Literal

from model_library.inference.backends.port import Precision
from model_library.wire.base import Message

NetworkName = Literal["unet", "edsr-x2"]
Seconds = dict[str, list[float]]
"""By contestant: one-thread CPU seconds of each round; rounds that it sat out are not in it."""

MONAI, MONAI_TUNED, BIOIMAGEIO = "monai", "monai-tuned", "bioimageio"


class InferenceRow(Message):
    """One contestant on one image, 16 bit in and out.

    Attributes
    ----------
    size
        Side of the square image, pixels.
    backend
        A backend of the engine in `dtype`, or a peer.
    mpix_per_s
        Input pixels per CPU second of one thread, normalisation and casts included, in millions.
    ratio_to_monai, ratio_to_monai_tuned, ratio_to_bioimageio
        Of speed, in the same run; None where the peer was not measured.
    fraction_of_roof
        Arithmetic per second, of that of one convolution in the same precision, in the same run.
    max_error_over_std
        Largest difference from torch in float32 on the whole image, unit scaled, of its standard deviation.
    seam_over_std
        Largest difference of windows from the whole image by the same backend; 0 means bit for bit. None
        for peers, and where the whole image does not fit.
    peak_rss_mb
        Of a process of its own that reconstructs from file to file; None for peers.
    """

    network: NetworkName
    size: int
    backend: str
    dtype: Precision
    mpix_per_s: float
    ratio_to_monai: float | None = None
    ratio_to_monai_tuned: float | None = None
    ratio_to_bioimageio: float | None = None
    fraction_of_roof: float
    max_error_over_std: float
    seam_over_std: float | None = None
    peak_rss_mb: float | None = None


class FileRun(Message):
    """A process of its own that reconstructed from file to file.

    `first_frame_s` counts from the start of the process to the result on disk, by the wall;
    `io_share` is the CPU time that was not spent in the backend.
    """

    network: NetworkName
    size: int
    backend: str
    dtype: Precision
    threads: int
    peak_rss_mb: float
    rss_above_start_mb: float
    first_frame_s: float
    wall_s: float
    cpu_s: float
    io_share: float
    torch_loaded: bool


class InferenceReport(Message):
    """Everything of one run; `roof_gflop_per_s` is of one thread, by precision."""

    processor: str
    cores: int
    versions: dict[str, str]
    rounds: int
    roof_gflop_per_s: dict[str, float]
    rows: tuple[InferenceRow, ...]
    files: tuple[FileRun, ...]


def speed_ratio(seconds: Seconds, ours: str, peer: str) -> float | None:
    """Give how many times faster a contestant is: the median over the rounds in which both ran."""
    rounds = min(len(seconds.get(ours, ())), len(seconds.get(peer, ())))
    if not rounds:
        return None
    pairs = zip(seconds[peer][:rounds], seconds[ours][:rounds], strict=True)
    return median(theirs / own for theirs, own in pairs)
