"""The newest frame before and after, as pictures, made by a child that lives while somebody looks."""

import base64
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any, Literal

from model_library.errors import ChildDied, ChildRefused
from model_library.wire.tasks import Segment
from site_client.children import reading_child
from site_client.errors import NothingToShow
from site_client.frames import LedgerFrame
from site_client.ledger import Ledger
from site_client.settings import SiteSettings

Side = Literal["before", "after"]

_DEADLINE_S = 30.0
_UNWATCHED_S = 60.0
_SLACK_PX = 1e-6


Box = tuple[float, float, float, float]
"""Top, left, bottom, right, in shares of an image."""


@dataclass(frozen=True, slots=True)
class View:
    """What part of an image is wanted, and how long its longer side may be."""

    side: Side
    box: Box = (0.0, 0.0, 1.0, 1.0)
    side_px: int = 1024


class Views:
    """Pictures of the newest reconstructed frame.

    Parameters
    ----------
    log
        Of the child.
    clock
        Monotonic seconds.
    """

    def __init__(
        self, settings: SiteSettings, ledger: Ledger, log: Path, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._clock = clock
        self._asked_at = clock()
        self._looking = threading.Lock()
        self._known: tuple[int, dict[str, Any]] | None = None
        self._viewer = reading_child("site_client.loopback.viewer", log=log)

    def png(self, sequence: int, view: View) -> bytes:
        """Picture a part of a frame, or of its result.

        Both have the grey range of the frame, so that they can be compared.

        Raises
        ------
        NothingToShow
            There is no such frame, or its file is gone or unreadable.
        """
        frame = self._ledger.reconstructed(sequence)
        if frame is None:
            raise NothingToShow(f"expected a reconstructed frame {sequence}, found none; take the newest")
        with self._looking:
            self._asked_at = self._clock()
            try:
                return self._ask(frame, view)
            except (ChildRefused, ChildDied) as error:
                raise NothingToShow(
                    f"expected to read frame {sequence} ({frame.path}), found: {error}"
                ) from error

    def rest(self) -> None:
        """End the child if nobody has looked for a while."""
        if self._clock() - self._asked_at > _UNWATCHED_S and self._viewer.pid is not None:
            self._viewer.stop()

    def close(self) -> None:
        """End the child for good."""
        self._viewer.retire()

    def _ask(self, frame: LedgerFrame, view: View) -> bytes:
        labels = isinstance(self._settings.task, Segment)
        before = {"path": str(self._settings.acquisitions / frame.path), "labels": False}
        after = {"path": str(self._settings.results / str(frame.result)), "labels": labels}
        known = self._known
        if known is None or known[0] != frame.id:
            whole = {"box": [0, 0, 1, 1], "side_px": 1, "range": None}
            known = self._known = frame.id, self._viewer.ask(before | whole, _DEADLINE_S)
        image = before if view.side == "before" else after
        greys = None if image["labels"] else known[1]["range"]
        box = whole_pixels(view.box, known[1]["shape"])
        wanted = {"box": list(box), "side_px": view.side_px, "range": greys}
        answer = self._viewer.ask(image | wanted, _DEADLINE_S)
        return base64.b64decode(answer["png"])


def whole_pixels(box: Box, shape: Sequence[int]) -> Box:
    """Extend a box to whole pixels of a frame of shape [Y, X, ...]: its result then shows exactly that part.

    By a millionth of a pixel less: a share of a larger image, rounded, must not reach into its next pixel.
    """
    top, left, bottom, right = box
    height, width = shape[:2]
    return (
        (floor(top * height) + _SLACK_PX) / height,
        (floor(left * width) + _SLACK_PX) / width,
        (max(ceil(bottom * height), floor(top * height) + 1) - _SLACK_PX) / height,
        (max(ceil(right * width), floor(left * width) + 1) - _SLACK_PX) / width,
    )
