"""The folder of a run, and the processes that belong to it: nothing of either is left."""

import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from simulations.processes import marked
from simulations.workspace import Workspace

MARK = "TMPDIR"
"""Variable by which every process of a run is known: it names the run's folder."""
_GONE_S, _LOOK_S = 30.0, 0.1


@contextmanager
def room_of_its_own() -> Iterator[Path]:
    """Make a temporary folder; it is removed once every process that was started for it has ended."""
    with tempfile.TemporaryDirectory(prefix="syn-") as name:
        try:
            yield Path(name)
        finally:
            _await_gone(name)


def _await_gone(mark: str) -> None:
    """Wait for the end of what daemons started, which their watchdogs see to; whatever stays is killed."""
    deadline = time.monotonic() + _GONE_S
    try:
        while marked(MARK, mark) and time.monotonic() < deadline:
            time.sleep(_LOOK_S)
    finally:
        for pid in marked(MARK, mark):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def keep_logs(workspace: Workspace, sites: Sequence[str], logs: Path) -> None:
    """Copy what daemons and Flower's programs said beside what the processes themselves said."""
    places = {site: workspace.site(site) / "log" for site in sites}
    places["coordinator"] = workspace.coordinator / "federation" / "log"
    for name, place in places.items():
        if place.is_dir():
            shutil.copytree(place, logs / name, dirs_exist_ok=True)
