"""The lasting processes of a run: one coordinator, and a daemon per site."""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from model_library.errors import ProcessFailed
from model_library.images.durable import write_durably
from model_library.processes.supervisor import Started, Supervisor, await_success
from model_library.wire.tasks import Task, task_in_words
from simulations.operator_view import Operator
from simulations.scenario import SiteScenario
from simulations.workspace import QUORUM, Run, Workspace
from site_client.errors import SiteError
from site_client.identity import read_identity
from site_client.settings import FILE_NAME, read_settings, toml_value, write_settings

_UP_WITHIN_S = 60.0
_CAMPAIGNS_AT_ONCE = 2
"""On one core each; the sites' workers give way, having low priority."""
_LOOK_S = 0.1
COORDINATOR = "coordinator"
"""Name of its process; that of a daemon is `daemon-SITE`."""
HOSTS = ("127.0.0.1", "localhost")
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Each process computes on one core: there are more processes than cores."""


def synoptic(*arguments: str) -> list[str]:
    """Command line of `synoptic`, in this very installation."""
    return [sys.executable, "-c", "from model_library.cli import main; main()", *arguments]


def awaited(
    meanwhile: Callable[[], None], condition: Callable[[], object], seconds: float, what: str
) -> None:
    """Await what processes do.

    Parameters
    ----------
    meanwhile
        Done between two looks: `Supervisor.check`, or what starts again those that ended.

    Raises
    ------
    ProcessFailed
        It does not come about in time, or `meanwhile` finds that a process ended in failure.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        meanwhile()
        if time.monotonic() > deadline:
            raise ProcessFailed(f"expected {what} within {seconds:.0f} s, waited in vain; see the logs")
        time.sleep(_LOOK_S)


def start_coordinator(
    data: Path, port: int, settings: str, supervisor: Supervisor, hosts: Sequence[str] = HOSTS
) -> Operator:
    """Found the coordinator in a folder if there is none yet, serve it, and wait until it answers.

    Parameters
    ----------
    hosts
        Under which sites reach it; `settings` name them too.

    Raises
    ------
    ProcessFailed
        It does not come up.
    """
    file = data / "settings.toml"
    if not file.exists():
        named = [word for host in hosts for word in ("--host", host)]
        command = synoptic("coordinator", "init", "--data", str(data), "--port", str(port), *named)
        supervisor.run("coordinator-init", command)
    write_durably(file, settings.encode())
    serve_coordinator(data, supervisor)
    operator = Operator(data, port)
    awaited(supervisor.check, operator.is_up, _UP_WITHIN_S, "the coordinator to answer")
    return operator


def serve_coordinator(data: Path, supervisor: Supervisor) -> Started:
    """Start the server of a coordinator that is founded."""
    return supervisor.start(COORDINATOR, synoptic("coordinator", "serve", "--data", str(data)))


def coordinator_toml(author: str, settings: Mapping[str, object], **sections: Mapping[str, object]) -> str:
    """Write a coordinator's settings as TOML; `author` is the command that does."""
    lines = [f"# Written by `{author}`."]
    for heading, values in (("", settings), *sections.items()):
        lines += [f"[{heading}]"] if heading and values else []
        lines += [f"{key} = {toml_value(value)}" for key, value in values.items()]
    return "\n".join(lines) + "\n"


def coordinator_settings(run: Run) -> str:
    """Write the settings of this run's coordinator."""
    settings = {
        "hosts": HOSTS,
        "port": run.port,
        "first_images": run.first_images,
        "at_once": _CAMPAIGNS_AT_ONCE,
        "threads": 1,
        "every_n": run.every_n,
        "seed": run.scenario.seed,
    }
    tuning = {} if run.tuning_steps is None else {"steps": run.tuning_steps}
    return coordinator_toml("synoptic demo", settings, federation={"quorum": QUORUM}, tuning=tuning)


def enrol_sites(
    sites: Sequence[SiteScenario],
    workspace: Workspace,
    supervisor: Supervisor,
    operator: Operator,
    url_of: Callable[[str], str],
) -> None:
    """Enrol the sites that have no identity yet, each under its own address of the coordinator."""
    enrolling = []
    for site in sites:
        workspace.acquisitions(site.name).mkdir(parents=True, exist_ok=True)
        if not _is_enrolled(workspace.site(site.name)):
            command = _enrolment(url_of(site.name), workspace, site, operator.enrolment_token())
            enrolling.append(supervisor.start(f"enrol-{site.name}", command))
    for each in enrolling:
        await_success(each)


def start_daemons(
    sites: Sequence[SiteScenario], workspace: Workspace, supervisor: Supervisor
) -> list[Started]:
    """Start the daemons of sites that are enrolled."""
    return [start_daemon(workspace.site(site.name), supervisor) for site in sites]


def start_daemon(folder: Path, supervisor: Supervisor) -> Started:
    """Start the daemon of the site in a folder."""
    return supervisor.start(f"daemon-{folder.name}", synoptic("site", "run", "--folder", str(folder)))


def keep_images(site: Path) -> None:
    """Decide as the owner of the site in a folder that no image leaves it."""
    decided = {"most_first_images_per_day": 0, "most_benchmark_images_per_day": 0}
    settings = read_settings(site).model_copy(update=decided)
    write_durably(site / FILE_NAME, write_settings(settings).encode())


def _is_enrolled(folder: Path) -> bool:
    try:
        read_identity(folder)
    except SiteError:
        return False
    return True


def _enrolment(url: str, workspace: Workspace, site: SiteScenario, token: str) -> list[str]:
    size = [] if site.pixel_size_nm is None else ["--pixel-size-nm", str(site.pixel_size_nm)]
    return synoptic(
        *("site", "enrol", url, token),
        *("--folder", str(workspace.site(site.name)), "--name", site.name),
        *("--acquisitions", str(workspace.acquisitions(site.name))),
        *("--results", str(workspace.results(site.name))),
        *("--task", task_in_words(site.task), *size),
        "--federate" if site.federates else "--no-federate",
    )


def calibrate(run: Run, rate_for: Callable[[Task], float]) -> Run:
    """Choose each microscope's rate, unless an earlier start of this run did."""
    if run.rates_mpix_per_s:
        return run
    rates: dict[str, float] = {}
    for site in run.scenario.sites:
        known = _same_task(run.scenario.sites, site, rates)
        rates[site.name] = rate_for(site.task) if known is None else known
    return run.model_copy(update={"rates_mpix_per_s": {name: round(rate, 4) for name, rate in rates.items()}})


def _same_task(sites: Sequence[SiteScenario], wanted: SiteScenario, rates: dict[str, float]) -> float | None:
    return next((rates[each.name] for each in sites if each.name in rates and each.task == wanted.task), None)
