"""Whether the microscope acquires, and what gets out of its way while it does."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from site_client.control import Controls

LOOK_S = 0.25
"""How often it is looked whether somebody said that the microscope acquires."""


class Yielding:
    """Holds adaptation while the microscope acquires.

    It acquires while its software says so (`Controls`), and for a while after each file it wrote. A file
    tells the process that trains: it looks for it before every step, and waits there until it is gone.

    Parameters
    ----------
    hold
        The file.
    controls
        What the microscope's software says.
    quiet_s
        How long no file must have been written; 0 where files do not tell.
    clock
        Monotonic seconds.
    """

    def __init__(self, hold: Path, controls: Controls, quiet_s: float, clock: Callable[[], float]) -> None:
        self._hold = hold
        self._controls = controls
        self._quiet_s = quiet_s
        self._clock = clock
        self._active_until = clock()
        self._held = False
        hold.unlink(missing_ok=True)

    def wrote(self) -> None:
        """Note that the microscope has written just now; called for every event of its folder."""
        if self._quiet_s > 0:
            self._active_until = self._clock() + self._quiet_s
            self._set(held=True)

    def look(self) -> None:
        """Hold or release, as it is now."""
        self._set(held=self.acquires())

    def acquires(self) -> bool:
        """Whether the microscope acquires, as far as can be told."""
        return self._clock() < self._active_until or self._controls.current().acquiring_until is not None

    def release(self) -> None:
        """Hold nothing any more; what cannot be removed now, the next start removes."""
        with suppress(OSError):
            self._set(held=False)

    def _set(self, *, held: bool) -> None:
        if held == self._held:
            return
        if held:
            self._hold.parent.mkdir(parents=True, exist_ok=True)
            self._hold.touch()
        else:
            self._hold.unlink(missing_ok=True)
        self._held = held
