"""The folder of one run: everything that the demo's processes read and write."""

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from model_library.images.durable import write_durably
from model_library.processes.ports import free_port
from model_library.wire.base import Message
from simulations.errors import WorkspaceError
from simulations.scenario import Scenario

_RUN = "run.json"
_FINISHED = "finished.json"
_PATIENCE_S = 15.0
QUORUM = 3
"""Sites that must contribute to a round; the coordinator is told, and the demo waits accordingly."""


class Run(Message):
    """What makes two runs the same, and what a resumed run must keep.

    `port` is the coordinator's: sites remember the address that they enrolled with.
    """

    scenario: Scenario
    first_images: int = Field(ge=1)
    every_n: int = Field(ge=1)
    tuning_steps: int | None = Field(default=None, ge=1)
    port: int = Field(default=0, ge=0, le=65535)
    rates_mpix_per_s: dict[str, float] = Field(default_factory=dict)

    def same_as(self, other: "Run") -> bool:
        """Whether both were asked for with the same arguments."""
        chosen = {"port": 0, "rates_mpix_per_s": {}}
        return self.model_copy(update=chosen) == other.model_copy(update=chosen)


class Workspace:
    """Paths of a run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.coordinator = self.folder / "coordinator"
        self.logs = self.folder / "log"
        self.history = self.folder / "history.jsonl"

    def site(self, name: str) -> Path:
        """Folder of a site daemon."""
        return self.folder / "sites" / name

    def acquisitions(self, name: str) -> Path:
        """Where a microscope writes and its daemon watches."""
        return self.folder / "acquisitions" / name

    def truth(self, name: str) -> Path:
        """Truth of the frames; only the microscope and the final report are told of it."""
        return self.folder / "truth" / name

    def labels(self, name: str) -> Path:
        """Return the CVAT file that the simulated annotator hands in."""
        return self.folder / "annotations" / f"{name}.xml"

    def results(self, name: str) -> Path:
        """Where a daemon writes what it reconstructed."""
        return self.folder / "results" / name

    def microscope(self, name: str, suffix: str) -> Path:
        """Return a file of the microscope itself: its plan, its journal, its start button."""
        return self.folder / "microscopes" / f"{name}.{suffix}"

    @property
    def finished(self) -> bool:
        """Whether the run in here came to its end."""
        return (self.folder / _FINISHED).exists()

    def run(self) -> Run | None:
        """Read what is run here; None where nothing was begun.

        Raises
        ------
        WorkspaceError
            The folder holds something else.
        """
        path = self.folder / _RUN
        if not path.exists():
            return None
        try:
            return Run.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise WorkspaceError(
                f"expected a run of this version in {self.folder}, found another; name another --workspace"
            ) from error

    def begin(self, wanted: Run) -> tuple[Run, bool]:
        """Begin a run here, or take up the one that is here.

        Returns
        -------
        The run, with its port, and whether it is taken up again.

        Raises
        ------
        WorkspaceError
            The folder holds another run, or something else.
        """
        found = self.run()
        if found is not None:
            if not found.same_as(wanted):
                sites = ", ".join(site.name for site in found.scenario.sites)
                raise WorkspaceError(
                    f"expected a run with the same arguments in {self.folder}, found others (seed "
                    f"{found.scenario.seed}, sites {sites}); repeat its arguments, or name another folder"
                )
            return found, True
        if self.folder.exists() and any(self.folder.iterdir()):
            raise WorkspaceError(
                f"expected an empty folder or an earlier run at {self.folder}, found other files; "
                "name another --workspace"
            )
        begun = wanted.model_copy(update={"port": free_port()})
        self.keep(begun)
        return begun, False

    @contextmanager
    def held(self, patience_s: float = _PATIENCE_S) -> Iterator[int]:
        """Hold the folder alone; gives the file descriptor that holds it.

        A process that inherits the descriptor goes on holding. So a run begins only when the
        processes of one that was killed here have ended.

        Raises
        ------
        WorkspaceError
            Another run holds it.
        """
        with (self.folder / "lock").open("a") as file:
            deadline = time.monotonic() + patience_s
            while not _lock(file.fileno()):
                if time.monotonic() > deadline:
                    raise WorkspaceError(
                        f"expected a folder that no other run uses, found one at work in {self.folder}; "
                        "wait for its end, or name another folder"
                    )
                time.sleep(0.1)
            yield file.fileno()

    def keep(self, run: Run) -> None:
        """Write down what is run here."""
        self.folder.mkdir(parents=True, exist_ok=True)
        write_durably(self.folder / _RUN, run.model_dump_json(indent=1).encode())

    def finish(self, summary: bytes) -> None:
        """Note that the run came to its end, and how."""
        write_durably(self.folder / _FINISHED, summary)


def default_workspace(parent: Path, wanted: Run) -> Workspace:
    """Choose the newest unfinished run of the same arguments in a folder, or a new one."""
    numbers = [int(path.name[4:]) for path in parent.glob("run-*") if path.name[4:].isdigit()]
    if numbers:
        newest = Workspace(parent / f"run-{max(numbers):03d}")
        found = newest.run()
        if found is not None and not newest.finished and found.same_as(wanted):
            return newest
    return Workspace(parent / f"run-{max(numbers, default=0) + 1:03d}")


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
