"""The microscopes' sessions: which frames are acquired at once, and which when someone presses the button."""

import sys

from model_library.images.durable import write_durably
from model_library.processes.supervisor import Supervisor
from simulations.microscopes import MicroscopePlan, Session
from simulations.scenario import SiteScenario
from simulations.workspace import Run, Workspace

_LAST_SHARE = 4
"""One frame in this many is kept for after the final release."""


def start_microscopes(run: Run, workspace: Workspace, supervisor: Supervisor) -> None:
    """Start every microscope; its last session waits for its button."""
    for site in run.scenario.sites:
        plan = plan_of(site, run, workspace)
        path = workspace.microscope(site.name, "json")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_durably(path, plan.model_dump_json().encode())
        supervisor.start(
            f"microscope-{site.name}", [sys.executable, "-m", "simulations.microscopes", "--plan", str(path)]
        )


def plan_of(site: SiteScenario, run: Run, workspace: Workspace) -> MicroscopePlan:
    """Plan a microscope's two sessions."""
    last = last_session(site, run.first_images)
    return MicroscopePlan(
        site=site,
        seed=run.scenario.seed,
        acquisition_folder=workspace.acquisitions(site.name),
        truth_folder=workspace.truth(site.name),
        journal=workspace.microscope(site.name, "jsonl"),
        rate_mpix_per_s=run.rates_mpix_per_s[site.name],
        sessions=(
            Session(frames=site.frames - last),
            Session(frames=last, start=workspace.microscope(site.name, "start")),
        ),
    )


def last_session(site: SiteScenario, first_images: int) -> int:
    """Count the frames of the last session.

    Where the instrument changes, those after the change. Elsewhere some that are kept for after the
    final release, so that it is seen at work.
    """
    if site.change is not None:
        return site.frames - site.change.at_frame
    return max(0, min(site.frames // _LAST_SHARE, site.frames - first_images))


def press_start(workspace: Workspace, site: str) -> None:
    """Press the button of a microscope's last session."""
    workspace.microscope(site, "start").touch()
