"""What a result says of where it comes from."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.metadata import version
from typing import Any

from model_library.images.pixel_fit import PixelFit
from model_library.wire.methods import ClassicalRef, MethodRef
from model_library.wire.tasks import Task


def provenance(
    ref: MethodRef,
    task: Task,
    *,
    made_at: datetime,
    scale: int,
    arithmetic: str,
    fit: PixelFit,
) -> dict[str, Any]:
    """Tell of the making of a result, but for its source, as JSON values by name.

    Parameters
    ----------
    ref
        Network or classical algorithm.
    scale
        Output pixels per input pixel along each axis.
    arithmetic
        Of a network: precision and backend.
    fit
        What was decided about the frame's pixels.
    """
    parameters: Mapping[str, Any] = {
        "normalisation": "percentiles 1 and 99 of the whole image",
        "arithmetic": arithmetic,
    }
    return {
        "software": f"synoptic {version('synoptic')}",
        "made_at": made_at.isoformat(),
        "method": ref.model_dump(mode="json"),
        "parameters": dict(ref.parameters if isinstance(ref, ClassicalRef) else parameters),
        "task": task.model_dump(mode="json"),
        "scale": scale,
        "pixel_fit": fit.as_provenance(),
    }


def source_told(
    about: Mapping[str, Any],
    fit: PixelFit,
    shape: Sequence[int],
    data_bar_rows: int,
    colour: str | None = None,
) -> dict[str, Any]:
    """Tell of the source of a result, as JSON values by name.

    Parameters
    ----------
    about
        What is known of the file: at least `file_name` and `sha256`.
    fit
        Tells the side of the source's pixels.
    shape, data_bar_rows
        Of its pixels as they were read, and what was cropped off the bottom before.
    colour
        What was made of colour; None where there was none.
    """
    return {
        **about,
        "pixel_size_nm": fit.found_nm,
        "shape": list(shape),
        "data_bar_rows": data_bar_rows,
        **({} if colour is None else {"colour": colour}),
    }
