"""What a person, or the microscope's software, wants of a running daemon; kept in its database.

Kept there because any process can write it at any time, whether the daemon runs or not, and because a
pause survives a restart: nobody who paused a site wants it to go on by itself after a power cut.
"""

from collections.abc import Callable

from pydantic import Field, ValidationError

from model_library.wire.base import Message
from site_client.journal import Journal

LONGEST_ACQUISITION_S = 24 * 3600.0
"""A microscope that never says that it has finished does not stop adaptation for ever."""

_FACT = "control"


class Control(Message):
    """What is wanted of the daemon now.

    Attributes
    ----------
    paused
        Take note of frames, and talk with the coordinator, but reconstruct, send and adapt nothing.
    draining
        Reconstruct and send what waits, then end.
    acquiring_until
        Until when the microscope acquires as far as it has been told, in seconds since the epoch; None
        where nobody told.
    """

    paused: bool = False
    draining: bool = False
    acquiring_until: float | None = Field(default=None, ge=0)


class Controls:
    """Reads and changes the wishes.

    Parameters
    ----------
    journal
        Of the site's database.
    clock
        Seconds since the epoch.
    """

    def __init__(self, journal: Journal, clock: Callable[[], float]) -> None:
        self._journal = journal
        self._clock = clock

    def current(self) -> Control:
        """Recall what is wanted now; an acquisition whose time is over is none."""
        fact = self._journal.fact(_FACT)
        try:
            control = Control() if fact is None else Control.model_validate_json(fact)
        except ValidationError:  # written by another version of this program
            return Control()
        until = control.acquiring_until
        if until is not None and not self._clock() < until <= self._clock() + LONGEST_ACQUISITION_S:
            # Over, or told by a clock that was wrong then.
            return control.model_copy(update={"acquiring_until": None})
        return control

    def pause(self) -> None:
        """Let the daemon do nothing but take note, until `resume`."""
        self._change("paused", paused=True, draining=False)

    def resume(self) -> None:
        """Take back a pause or a drain."""
        self._change("resumed", paused=False, draining=False)

    def drain(self) -> None:
        """Let the daemon finish what waits, and end."""
        self._change("draining", paused=False, draining=True)

    def started(self) -> None:
        """Forget a drain: who starts a daemon wants it to run."""
        if self.current().draining:
            self._change("resumed", draining=False)

    def acquiring(self, for_s: float) -> None:
        """Note that the microscope acquires for so many seconds from now, or until it says otherwise."""
        until = self._clock() + min(max(0.0, for_s), LONGEST_ACQUISITION_S)
        self._change("acquiring", acquiring_until=until)

    def idle(self) -> None:
        """Note that the microscope does not acquire."""
        self._change("idle", acquiring_until=None)

    def _change(self, event: str, **wishes: bool | float | None) -> None:
        # A person's pause and the microscope's `acquiring` come from different processes.
        with self._journal.writing():
            before = self.current()
            after = before.model_copy(update=wishes)
            if after == before:
                return
            self._journal.remember(_FACT, after.model_dump_json())
            # The microscope may tell that it acquires several times a second.
            if (after.acquiring_until is None) != (before.acquiring_until is None) or event not in (
                "acquiring",
                "idle",
            ):
                self._journal.note(event, "as asked")
