"""Child process that cuts a view out of a frame or a result and gives it as PNG.

Run by the daemon as `python -m site_client.loopback.viewer MEMORY_BYTES`: the daemon itself has no numpy.
"""

import base64
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_library.images.contents import read_acquisition
from model_library.images.raster import encode_png
from model_library.processes.answering import answer_questions
from model_library.processes.operating_system import limit_memory

MOST_SIDE_PX = 2048
_KEPT = 2


class Viewer:
    """Answers with views; keeps the last two images, since zooming asks for the same ones again.

    Of a stack or series the middle plane is shown; colour is shown as such.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str, int], NDArray[Any]] = {}

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Cut out a view.

        Parameters
        ----------
        question
            `path`; `box` [top, left, bottom, right] in shares of the image; `side_px`, the longer side
            of the view at most; `range` [low, high] of grey values, or null for percentiles 0.5 and 99.5.
            `labels`: whether pixels are class numbers.

        Returns
        -------
        `png` (base64), `range` and `shape` of the whole image.

        Raises
        ------
        ImageError, OSError
            The file is no image any more, or is gone.
        """
        pixels = self._pixels(Path(question["path"]))
        low, high = question["range"] or _range(pixels, labels=question["labels"])
        view = cut(pixels, question["box"], min(int(question["side_px"]), MOST_SIDE_PX))
        png = encode_png(to_8_bit(view, low, high))
        return {
            "png": base64.b64encode(png).decode(),
            "range": [low, high],
            "shape": list(pixels.shape),
        }

    def _pixels(self, path: Path) -> NDArray[Any]:
        key = str(path), path.stat().st_mtime_ns
        if key not in self._kept:
            pixels = read_acquisition(path)[0].middle().pixels
            while len(self._kept) >= _KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = pixels
        return self._kept[key]


def cut(pixels: NDArray[Any], box: tuple[float, float, float, float], side_px: int) -> NDArray[Any]:
    """Cut a box [top, left, bottom, right], in shares, out of an image [Y, X] or [Y, X, 3].

    Where it has more than `side_px` pixels along a side, every n-th is taken: what is shown are always
    pixels of the image, never a mixture that it does not hold.
    """
    height, width = pixels.shape[:2]
    top, left, bottom, right = (min(max(float(share), 0.0), 1.0) for share in box)
    rows = slice(
        min(int(top * height), height - 1), max(int(np.ceil(bottom * height)), int(top * height) + 1)
    )
    columns = slice(
        min(int(left * width), width - 1), max(int(np.ceil(right * width)), int(left * width) + 1)
    )
    view = pixels[rows, columns]
    step = max(1, -(-max(view.shape[:2]) // max(1, side_px)))
    return view[::step, ::step]


def to_8_bit(view: NDArray[Any], low: float, high: float) -> NDArray[np.uint8]:
    """Map values, of all colours alike, from `low` to `high` onto 0 to 255; outside of them is cut off."""
    grey: NDArray[np.uint8] = np.rint(np.interp(view, (low, np.nextafter(high, np.inf)), (0, 255))).astype(
        np.uint8
    )
    return grey


def _range(pixels: NDArray[Any], *, labels: bool) -> tuple[float, float]:
    if labels:
        return 0.0, max(1.0, float(pixels.max()))
    low, high = np.percentile(pixels[:: max(1, pixels.shape[0] // 512)], [0.5, 99.5])
    return float(low), float(high)


def main() -> None:
    """Answer the daemon's questions under a memory limit."""
    limit_memory(int(sys.argv[1]))
    answer_questions(Viewer().answer)


if __name__ == "__main__":
    main()
