"""The whole loop on this machine: start everything, watch it, end it, report on it."""

import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from types import FrameType

from model_library.processes.supervisor import Supervisor
from simulations.annotating import is_handed_in, label_and_import
from simulations.calibration import rate_for
from simulations.cues import annotations_due, buttons_due
from simulations.fleet import (
    ENVIRONMENT,
    calibrate,
    coordinator_settings,
    enrol_sites,
    start_coordinator,
    start_daemons,
)
from simulations.observation import NOTHING_SEEN, Look, look, point, read_history
from simulations.operator_view import Operator
from simulations.overview import Overview
from simulations.progress import Progress
from simulations.sessions import press_start, start_microscopes
from simulations.workspace import Run, Workspace

_LOOK_S = 1.0
_SURE_LOOKS = 4
"""A session is due after so many looks that agree: heartbeats lag behind the coordinator's decisions."""


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended.

    Attributes
    ----------
    seen
        The last look.
    overview
        What the operator saw last.
    seconds
        From the start of this run to its end, without the report.
    resumed
        Whether an earlier start of the same run was taken up.
    waiting
        What was still to come when the time was over, in words; empty after a complete run.
    """

    run: Run
    seen: Look
    overview: Overview
    seconds: float
    resumed: bool
    waiting: tuple[str, ...]


def run_loop(workspace: Workspace, wanted: Run, *, minutes: float, progress: Progress) -> Ended:
    """Run until campaigns, federations and every frame are done with, or the time is over.

    Every process that was started has ended when this returns or raises.

    Raises
    ------
    WorkspaceError
        The workspace holds another run.
    ProcessFailed
        A process does not start, or ends before it should.
    """
    began = time.monotonic()
    run, resumed = workspace.begin(wanted)
    run = calibrate(run, rate_for)
    workspace.keep(run)
    progress.say(f"{'Resuming' if resumed else 'Beginning'} in {workspace.folder}")
    earlier_s = _earlier_s(workspace)
    with (
        interruptible(),
        workspace.held() as lock,
        Supervisor(workspace.logs, ENVIRONMENT, held=(lock,)) as supervisor,
    ):
        settings = coordinator_settings(run)
        with closing(start_coordinator(workspace.coordinator, run.port, settings, supervisor)) as operator:
            sites, url = run.scenario.sites, f"https://127.0.0.1:{run.port}"
            enrol_sites(sites, workspace, supervisor, operator, lambda _: url)
            start_daemons(sites, workspace, supervisor)
            start_microscopes(run, workspace, supervisor)
            watch = _Watch(run, workspace, operator, lambda: earlier_s + time.monotonic() - began)
            seen, overview = watch.until_done(supervisor, progress, deadline_s=minutes * 60, began=began)
    return Ended(run, seen, overview, time.monotonic() - began, resumed, seen.waiting_for())


@dataclass(frozen=True, slots=True)
class _Watch:
    run: Run
    workspace: Workspace
    operator: Operator
    clock: Callable[[], float]

    def until_done(
        self, supervisor: Supervisor, progress: Progress, *, deadline_s: float, began: float
    ) -> tuple[Look, Overview]:
        overview = NOTHING_SEEN
        agreed: Counter[str] = Counter()
        while True:
            supervisor.check()
            overview = self.operator.overview() or overview
            seen = look(self.run, self.workspace, overview, self.clock())
            with self.workspace.history.open("a", encoding="utf-8") as file:
                file.write(point(seen).model_dump_json() + "\n")
            progress.show(seen)
            spent_s = time.monotonic() - began
            if seen.done or spent_s > deadline_s:
                return seen, overview
            self._annotate(seen, supervisor, progress)
            due = buttons_due(seen, spent_s / deadline_s)
            agreed = Counter({name: agreed[name] + 1 for name in due})
            for name in due:
                if agreed[name] >= _SURE_LOOKS:
                    press_start(self.workspace, name)
            time.sleep(_LOOK_S)

    def _annotate(self, seen: Look, supervisor: Supervisor, progress: Progress) -> None:
        for site in annotations_due(seen, self.run.first_images):
            if not is_handed_in(self.workspace, site.name):
                label_and_import(site, self.workspace, supervisor)
                progress.say(f"{site.name}: the simulated annotator labelled its first images")


def _earlier_s(workspace: Workspace) -> float:
    """Tell the seconds that earlier starts of this run took: the history goes on from there."""
    points = read_history(workspace.history)
    return points[-1].at_s if points else 0.0


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does, and Ctrl-C end it even where a shell had it ignored."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
