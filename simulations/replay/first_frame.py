"""The first frame after a daemon's start: how long until its result is on disk, and where the time goes."""

import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from model_library.wire.base import Message
from simulations.processes import family
from simulations.replay.accounts import Entry
from simulations.replay.frames import Written
from simulations.replay.rig import Rig

_STARTED_WITHIN_S = 60.0
_TORCH = "libtorch"


class FirstFrame(Message):
    """Seconds by the wall since the daemon's program was executed; `compute_s` is a duration.

    Attributes
    ----------
    up_s
        Until it watches the folder; then the frame is written.
    read_s
        Until the frame was read whole and is accepted.
    compute_s
        The worker's own time for the frame: reading, computing, writing.
    result_s
        Until the result is durable. What is not told above is the worker's start, and opening the method.
    torch_loaded
        Whether the daemon or any of its children had torch in memory then.
    """

    up_s: float
    read_s: float
    compute_s: float
    result_s: float
    torch_loaded: bool


def first_frame(
    rig: Rig,
    pid_of_new: Callable[[], int],
    acquire: Callable[[], Written],
    settled: Callable[[], tuple[Entry, ...]],
) -> FirstFrame:
    """Start the daemon, write a frame as soon as it watches, and await the result.

    Parameters
    ----------
    pid_of_new
        Starts the daemon, whose predecessor has ended.
    acquire
        Writes one frame.
    settled
        Waits for all results, and gives the ledger's rows.
    """
    begun = time.time()
    pid = pid_of_new()
    with rig.read() as reader:
        rig.until(
            lambda: any(
                event.kind == "started" and event.at.timestamp() >= begun
                for event in reader.memory.journal.events()
            ),
            _STARTED_WITHIN_S,
            "the daemon to watch",
        )
    up_s = time.time() - begun
    frame = acquire()
    [entry] = [each for each in settled() if each.sha256 == frame.sha256]
    assert entry.finished_at is not None
    return FirstFrame(
        up_s=up_s,
        read_s=entry.arrived_at - begun,
        compute_s=entry.busy_s,
        result_s=entry.finished_at - begun,
        torch_loaded=any(_maps_torch(each) for each in family(pid)),
    )


def _maps_torch(pid: int) -> bool:
    with suppress(OSError):
        return _TORCH in Path(f"/proc/{pid}/maps").read_text()
    return False
