"""Child process that decodes the formats of `vendor_formats`.

Run as `python -m model_library.images.vendor_child MEMORY_BYTES SECONDS`; the only importer of
RosettaSciIO and zarr.
"""

import sys
import warnings
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.errors import ImageError, MissingReader, NotAnImage, UnsupportedImage
from model_library.images import ome_zarr, vendor_formats
from model_library.images.limits import ReadLimits, refuse_oversized
from model_library.images.vendor_signals import signal_facts
from model_library.processes.answering import answer_questions
from model_library.processes.operating_system import limit_memory, limit_processor_time


def decode(path: Path, kind: str, folder: Path, limits: ReadLimits) -> dict[str, Any]:
    """Decode a file, leaving its arrays as `.npy` in a folder.

    Returns
    -------
    `recordings` (each with `file`, `axes`, `pixel_size_nm` as y, x, z, `name`, `metadata`) and
    `left_out`.

    Raises
    ------
    ImageError
        As `contents.read_contents`.
    """
    try:
        if kind == vendor_formats.OME_ZARR:
            return ome_zarr.decode(path, folder, limits)
        signals = _signals(path, kind)
        return _kept(signals, path.name, folder, limits)
    except ImageError:
        raise
    except ImportError as error:
        extra = "zarr" if kind == vendor_formats.OME_ZARR else "vendor-formats"
        raise MissingReader(
            f"{path.name}: expected the library that reads {kind}, found that it is not installed ({error}); "
            f"run: pip install 'synoptic[{extra}]'"
        ) from error
    except MemoryError as error:
        raise UnsupportedImage(
            f"{path.name}: expected {kind} that fits the memory, found that it does not; crop it"
        ) from error
    except Exception as error:
        raise NotAnImage(
            f"{path.name}: expected {kind} that decodes, found {type(error).__name__}: {str(error)[:99]}; "
            "export it again"
        ) from error


def _signals(path: Path, kind: str) -> Sequence[dict[str, Any]]:
    """Open lazily, so that sizes are known before pixels are decoded."""
    match kind:
        case vendor_formats.DM:
            from rsciio import digitalmicrograph as reader  # type: ignore[import-untyped]
        case vendor_formats.SER | vendor_formats.EMI:
            from rsciio import tia as reader
        case vendor_formats.EMD:
            from rsciio import emd as reader
        case vendor_formats.HSPY:
            from rsciio import hspy as reader
        case other:
            raise ValueError(f"unknown format {other!r}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not spectra, which would need a further library.
        options = {"select_type": "images"} if kind == vendor_formats.EMD else {}
        signals: Sequence[dict[str, Any]] = reader.file_reader(str(path), lazy=True, **options)
    return signals


def _kept(signals: Sequence[dict[str, Any]], name: str, folder: Path, limits: ReadLimits) -> dict[str, Any]:
    kept: list[dict[str, Any]] = []
    refusals: list[ImageError] = []
    for signal in signals[: limits.max_pages]:
        try:
            facts = signal_facts(signal, name)
            planes = facts.axes.rstrip("S")
            refuse_oversized(facts.shape[: len(planes)], signal["data"].dtype.itemsize, name, limits)
        except UnsupportedImage as refusal:
            refusals.append(refusal)
            continue
        file = f"{len(kept)}.npy"
        np.save(folder / file, _computed(signal["data"], facts.shape))
        size = facts.pixel_size
        kept.append(
            {
                "file": file,
                "axes": facts.axes,
                "pixel_size_nm": [size.y_nm, size.x_nm, size.z_nm],
                "name": facts.name,
                "metadata": facts.metadata,
            }
        )
    if not kept:
        raise (
            refusals[0] if refusals else NotAnImage(f"{name}: expected an image, found none; export it again")
        )
    return {"recordings": kept, "left_out": [str(refusal).partition("found ")[2] for refusal in refusals]}


def _computed(data: Any, shape: tuple[int, ...]) -> NDArray[Any]:  # noqa: ANN401
    pixels = np.asarray(data.compute(scheduler="synchronous") if hasattr(data, "compute") else data)
    if pixels.dtype.names is not None:
        pixels = np.stack([pixels[field] for field in pixels.dtype.names], axis=-1)
    return np.ascontiguousarray(pixels.reshape(shape))


def main() -> None:
    """Answer the parent's questions under limits of memory and processor time."""
    limit_memory(int(sys.argv[1]))
    limit_processor_time(ceil(float(sys.argv[2])))
    answer_questions(
        lambda question: decode(
            Path(question["path"]),
            question["kind"],
            Path(question["folder"]),
            ReadLimits(*question["limits"]),
        )
    )


if __name__ == "__main__":
    main()
