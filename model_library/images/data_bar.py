"""Data bars: the strip of text and scale that SEM software burns into the bottom of its images."""

from dataclasses import replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from model_library.errors import UnsupportedImage
from model_library.images.mapping import extremes
from model_library.images.recording import Recording

BarPolicy = Literal["crop", "refuse"]
"""What becomes of an image with a data bar."""

_LEAST_ROWS, _LEAST_SHARE, _LARGEST_SHARE = 8, 0.015, 0.3
_GROUND = 0.35
"""Share of a row that is background at the least where text or a logo is widest."""
_MOST_ROWS = 0.5
"""Share of the lowest rows that are background at the least; the others are lines, or below the bar."""
_GROUND_ON_AVERAGE = 0.6
_ABOVE = 0.25
"""Share of the row above a bar that may have the bar's background by chance."""
_INK = (0.004, 0.4)
"""Share of a bar that is text."""
_INK_COLUMNS = 0.08
"""Share of columns that some text crosses."""
_LINE = 0.98
"""Share of a frame's line that has one value."""
_ROWS_BELOW = 3
_CONTRAST = 0.5
"""How far text is from the background, as a share of the image's whole range."""
_TOLERANCE = 0.03
"""How far the background strays in JPEG, as a share of the image's whole range."""


def data_bar(pixels: NDArray[Any]) -> int | None:
    """Find a data bar by its looks.

    A bar is a block of rows at the bottom that share one background value and bear sparse text of strong
    contrast, and whose top is a straight edge or a full-width line.

    Parameters
    ----------
    pixels
        Axes [Y, X], any grey values.

    Returns
    -------
    Rows of the bar, counted from the bottom; None where there is none.
    """
    height, width = pixels.shape
    most = int(height * _LARGEST_SHARE)
    least = max(_LEAST_ROWS, int(height * _LEAST_SHARE))
    low, high = extremes(pixels)
    if most < least or width < 64 or high <= low:
        return None
    bottom = _scaled(pixels[height - least :], low, high)
    ground = _commonest(bottom)
    # Nearly every image ends here, before its larger part is looked at.
    if np.mean((np.abs(bottom - ground) <= _TOLERANCE).mean(axis=1) >= _GROUND) < _MOST_ROWS:
        return None
    # One row more than the largest bar: what is above it decides.
    strip = _scaled(pixels[height - most - 1 :], low, high)
    is_ground = np.abs(strip - ground) <= _TOLERANCE
    share = is_ground.mean(axis=1)
    middle = np.median(strip, axis=1)
    is_line = (np.abs(strip - middle[:, None]) <= _TOLERANCE).mean(axis=1) >= _LINE
    begin = _first_row(share, is_line, np.abs(middle - ground) > _CONTRAST)
    if begin is None or len(strip) - begin < least:
        return None
    inside, plain = strip[begin:], is_ground[begin:]
    return len(inside) if _bears_text(inside, plain, is_line[begin:], ground) else None


def bar_rows(recording: Recording) -> int:
    """Rows of a recording's data bar: as the instrument tells, else by the looks of its first plane."""
    height, width = recording.shape
    if recording.image_rows is not None:
        return height - recording.image_rows
    planes = recording.pixels[..., 0] if recording.axes.endswith("S") else recording.pixels
    return data_bar(planes.reshape(-1, height, width)[0]) or 0


def without_data_bar(recording: Recording, policy: BarPolicy = "crop") -> Recording:
    """Give the image alone.

    Parameters
    ----------
    recording
        With or without a bar.
    policy
        Whether a bar is cropped or the recording refused.

    Raises
    ------
    UnsupportedImage
        There is a bar, and it is to be refused.
    """
    rows = bar_rows(recording)
    if not rows:
        return recording
    if policy == "refuse":
        raise UnsupportedImage(
            f"{recording.name or 'image'}: expected an image without a data bar, found one of {rows} rows; "
            "crop it, or save the image without it"
        )
    return cropped(recording, rows)


def cropped(recording: Recording, rows: int) -> Recording:
    """Leave out so many of the lowest rows; 0 changes nothing."""
    if not rows:
        return recording
    kept = recording.shape[0] - rows
    index = tuple(slice(0, kept) if axis == "Y" else slice(None) for axis in recording.axes)
    return replace(recording, pixels=np.ascontiguousarray(recording.pixels[index]), image_rows=None)


def _first_row(share: NDArray[Any], is_line: NDArray[Any], contrasts: NDArray[Any]) -> int | None:
    """First row of the block at the bottom that looks like a bar; None where its top is no edge."""
    ground = (share >= _GROUND) | is_line
    # Zeiss frames its bar a row or two above the end of the image.
    if not ground[-_ROWS_BELOW - 1 :].any():
        return None
    ground[len(ground) - int(ground[::-1].argmax()) :] = True
    above = np.flatnonzero(~ground)
    begin = int(above[-1]) + 1 if len(above) else 0
    lines = np.flatnonzero(is_line[begin:] & contrasts[begin:])
    if begin and share[begin - 1] <= _ABOVE:
        return begin
    # The image is as dark (or bright) as the bar: then the line between them shows where it begins.
    inner = [int(line) + begin for line in lines if line + begin < len(share) - _LEAST_ROWS]
    return inner[0] if inner else None


def _scaled(pixels: NDArray[Any], low: float, high: float) -> NDArray[np.float32]:
    return (pixels.astype(np.float32) - np.float32(low)) / np.float32(high - low)


def _commonest(values: NDArray[np.float32]) -> float:
    counts, edges = np.histogram(values, bins=64, range=(0.0, 1.0))
    best = int(counts.argmax())
    inside = values[(values >= edges[best]) & (values <= edges[best + 1])]
    return float(np.median(inside))


def _bears_text(
    strip: NDArray[np.float32], plain: NDArray[np.bool_], is_line: NDArray[np.bool_], ground: float
) -> bool:
    body, plain = strip[~is_line], plain[~is_line]
    if len(body) < _LEAST_ROWS // 2 or plain.mean() < _GROUND_ON_AVERAGE:
        return False
    ink = np.abs(body - ground) >= _CONTRAST
    share, columns = float(ink.mean()), float(ink.any(axis=0).mean())
    sharp = ink.sum() >= 0.4 * (~plain).sum()
    return _INK[0] <= share <= _INK[1] and columns >= _INK_COLUMNS and bool(sharp)
