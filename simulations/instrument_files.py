"""Writing a file as instruments do: piece by piece, while others are already looking at it."""

import time
from collections.abc import Callable
from pathlib import Path

from simulations.scenario import Writing

PIECES = 5
_PAUSE_S = 0.02


def write_growing(
    path: Path, content: bytes, writing: Writing, *, pause: Callable[[], None] = lambda: time.sleep(_PAUSE_S)
) -> None:
    """Write a file in several flushed pieces.

    Parameters
    ----------
    path
        The final name; an unfinished file of this name, left by a killed instrument, is replaced.
    content
        All of its bytes.
    writing
        Whether the final name is seen from the first byte on, or only once the file is whole.
    pause
        Called after each piece.
    """
    seen = path if writing is Writing.GROWING else path.with_name(f"{path.name}.tmp")
    step = -(-len(content) // PIECES)
    with seen.open("wb") as file:
        for start in range(0, len(content), step):
            file.write(content[start : start + step])
            file.flush()
            pause()
    if seen != path:
        seen.replace(path)
