"""Looking into untrusted images, in child processes that may hang, crash or be killed.

A file of 17 kB can keep a decoder busy for minutes; no guard inside this process helps against that.
Each instrument has a child of its own, so that a file of one can do nothing to the next file of another.
"""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from coordinator.errors import Unprocessable
from coordinator.settings import Settings
from coordinator.stored_frames import under_its_suffix
from model_library.errors import ChildDied, ChildRefused
from model_library.processes.child import Child

_IDLE_S = 30.0
"""A child that was not asked for so long is ended; starting one takes a third of a second."""


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a whole, readable image says of itself; None where it does not."""

    sha256: str
    field: str | None
    pixel_size_nm: float | None


@dataclass
class _Inspector:
    child: Child
    asked_at: float


@dataclass(frozen=True)
class Inspections:
    """Asks the children; usable from several threads."""

    settings: Settings
    clock: Callable[[], float] = time.monotonic
    _inspectors: dict[str, _Inspector] = field(default_factory=dict)
    _changing: threading.Lock = field(default_factory=threading.Lock)

    def inspect(self, instrument_id: str, file: Path, name: str) -> Inspected:
        """Look into one file of an instrument.

        Parameters
        ----------
        name
            What the instrument calls it: for the refusal, and for formats that are known by their suffix.

        Raises
        ------
        Unprocessable
            It is no image that Synoptic can use, or it ended its reader.
        """
        deadline_s = self.settings.intake_deadline_s
        try:
            with under_its_suffix(file, name) as called:
                found = self._of(instrument_id).ask({"path": str(called), "last_look": True}, deadline_s)
        except ChildRefused as refusal:
            raise Unprocessable(str(refusal).replace(called.name, name)) from refusal
        except ChildDied as death:
            message = (
                f"{name}: expected an image that decodes within {deadline_s:g} s, found one that ended its "
                "reader (it used up its time or memory, or crashed it); export the image again"
            )
            raise Unprocessable(message) from death
        if found["planes"] != 1:
            raise Unprocessable(
                f"{name}: expected one plane, found {found['planes']}; a site sends the middle one"
            )
        if found["colour"]:
            raise Unprocessable(
                f"{name}: expected grey, found colour channels that differ; a site sends the luminance"
            )
        return Inspected(found["sha256"], found["field"], found["pixel_size_nm"])

    def rest(self) -> None:
        """End the children that have nothing to do."""
        with self._changing:
            idle = [key for key, each in self._inspectors.items() if self.clock() - each.asked_at > _IDLE_S]
            ended = [self._inspectors.pop(key) for key in idle]
        for inspector in ended:
            inspector.child.stop()

    def close(self) -> None:
        """End every child."""
        with self._changing:
            ended = [self._inspectors.popitem()[1] for _ in range(len(self._inspectors))]
        for inspector in ended:
            inspector.child.stop()

    def _of(self, instrument_id: str) -> Child:
        with self._changing:
            inspector = self._inspectors.get(instrument_id)
            if inspector is None:
                inspector = self._inspectors[instrument_id] = _Inspector(self._child(), self.clock())
            inspector.asked_at = self.clock()
            return inspector.child

    def _child(self) -> Child:
        return Child(
            [
                *(sys.executable, "-m", "model_library.images.inspector"),
                *(str(self.settings.intake_memory_bytes), str(self.settings.intake_deadline_s)),
            ],
            log=self.settings.data / "inspector.log",
            # Each thread of a linear algebra library would reserve address space.
            environment={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
