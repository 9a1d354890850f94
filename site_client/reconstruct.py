"""One frame and one method -> a result that says where it comes from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.method import Method
from model_library.errors import WeightsError
from model_library.images.frame import Frame
from model_library.images.intensity import to_dtype
from model_library.images.pixel_fit import PixelFit, PixelPolicy, fit_pixels, refuse_unfit, resample
from model_library.images.recording import Recording
from model_library.inference.precision import PrecisionPolicy
from model_library.inference.prepared import gives_instances
from model_library.wire.methods import ClassicalRef, MethodRef, NetworkRef
from model_library.wire.tasks import Segment, Task
from model_library.zoo.serving.provenance import provenance, source_told


@dataclass(frozen=True, slots=True)
class Result:
    """What is written for a frame.

    Attributes
    ----------
    pixels
        Axes [Y * scale, X * scale] of the frame, resampled where its pixels did not fit the network, before
        them those of the planes of a stack or series; the dtype of the source, or uint8 class numbers.
    pixel_size_nm
        Side of a pixel of the result.
    provenance
        JSON values by name.
    axes
        Of `pixels`; see `images.recording.AXES`.
    """

    pixels: NDArray[Any]
    pixel_size_nm: float | None
    provenance: dict[str, Any]
    axes: str = "YX"


def reconstruct(
    frame: Frame,
    method: Method,
    task: Task,
    *,
    source: Mapping[str, Any],
    clock: Callable[[], datetime],
    fit: PixelFit | None = None,
) -> Result:
    """Apply a method to a frame.

    Parameters
    ----------
    frame
        As acquired.
    method
        Its `ref` is what the provenance names.
    source
        What is known of the source: at least `file_name` and `sha256`.
    clock
        Time of making.
    fit
        What was decided about the frame's pixels; None where the method states no size.

    Raises
    ------
    UnfitPixelSize
        It was decided to refuse the frame.
    NonFinitePixels
        The method gives NaN or infinity on this frame.
    """
    decided = fit or fit_pixels(frame.pixel_size_nm, None)
    refuse_unfit(decided, str(source["file_name"]))
    restored = method(resample(frame.grey, decided.factor))
    dtype = np.dtype(np.uint8) if isinstance(task, Segment) else frame.pixels.dtype
    size = decided.fitted_nm
    return Result(
        pixels=to_dtype(restored, dtype),
        pixel_size_nm=None if size is None else size / method.scale,
        provenance=provenance(
            method.ref, task, made_at=clock(), scale=method.scale, arithmetic="float32 by torch", fit=decided
        )
        | {"source": source_told(source, decided, frame.pixels.shape, frame.data_bar_rows)},
    )


def reconstruct_planes(
    acquired: tuple[Recording, Sequence[Frame]],
    method: Method,
    task: Task,
    *,
    source: Mapping[str, Any],
    clock: Callable[[], datetime],
    fit: PixelFit | None = None,
) -> Result:
    """Apply a method to each plane of an image, stack or series by itself, in colour to each channel.

    Parameters
    ----------
    acquired
        As `images.contents.read_grey_planes` gives it, colour as its luminance or its channels. The others,
        and refusals, as `reconstruct`.
    """
    recording, frames = acquired
    # One frame a plane in grey, three in colour.
    colour = recording.is_colour and len(frames) > recording.planes
    made = [reconstruct(frame, method, task, source=source, clock=clock, fit=fit) for frame in frames]
    if len(made) == 1:
        return made[0]
    planes = recording.axes[: recording.axes.index("Y")]
    lengths = recording.pixels.shape[: len(planes)]
    samples = (3,) if colour else ()
    pixels = np.stack([each.pixels for each in made]).reshape(*lengths, *samples, *made[0].pixels.shape)
    told = made[0].provenance
    return replace(
        made[0],
        pixels=np.moveaxis(pixels, -3, -1) if colour else pixels,
        provenance=told
        | {"source": told["source"] | {"shape": [*lengths, *frames[0].pixels.shape, *samples]}},
        axes=f"{planes}YXS" if colour else f"{planes}YX",
    )


def decide_fit(
    frame: Frame, ref: MethodRef, network_folder: Path | None, policy: PixelPolicy = "resample"
) -> PixelFit:
    """Hold a frame's pixels against the card of the network that it is about to meet.

    A network that was tuned on an instrument's images saw them as acquired, and its card states their
    size, not that of the network that it descends from.

    Raises
    ------
    CardError
        The card is missing or malformed.
    """
    if network_folder is None or not isinstance(ref, NetworkRef):
        return fit_pixels(frame.pixel_size_nm, None)
    from model_library.inference.weights import read_card

    return fit_pixels(frame.pixel_size_nm, read_card(network_folder).pixel_size_nm, policy)


def load_method(
    ref: MethodRef,
    task: Task,
    network_folder: Path | None,
    *,
    threads: int,
    cache: Path | None = None,
    precision: PrecisionPolicy = "float32",
) -> Method:
    """Make the method that a reference names, verified.

    Parameters
    ----------
    network_folder
        Folder `{card.json, weights.safetensors}`; None for a classical algorithm.
    threads
        For torch or another backend, in this whole process.
    cache
        Where networks are prepared for the backend that is fastest here; None for torch in float32.
    precision
        What such a backend may compute in.

    Raises
    ------
    WeightsError, CardError
        The folder does not hold the network of the reference, whole.
    UnknownMethod
        This installation has no such classical algorithm.
    """
    match ref:
        case ClassicalRef():
            # A worker that serves a network never needs scipy, which takes as long to load as the rest of it.
            from benchmark.baselines import classical

            return classical(ref, task)
        case NetworkRef():
            if cache is None or network_folder is None or gives_instances(network_folder):
                return _load_network_method(ref, task, network_folder, threads)
            from site_client.serving import serve

            return serve(ref, task, network_folder, cache, threads=threads, precision=precision)


def _load_network_method(ref: NetworkRef, task: Task, folder: Path | None, threads: int) -> Method:
    # A worker of a classical algorithm never needs torch, which costs seconds and 300 MB.
    import torch

    from benchmark.networks import SegmentingMethod
    from model_library.inference.engine import NetworkMethod, load_network

    torch.set_num_threads(threads)
    if folder is None:
        raise WeightsError(f"expected the folder of network {ref.id}, found none; install the release again")
    network = load_network(folder)
    found = network.card.ref
    if found != ref or network.card.task != task:
        raise WeightsError(
            f"{folder}: expected {ref.id} {ref.version} for the task {task}, found {found.id} "
            f"{found.version} for {network.card.task}; install the release again"
        )
    if isinstance(task, Segment):
        return SegmentingMethod(network)
    return NetworkMethod(network, threads=threads)
