"""The server app: Flower starts it, in a process of its own, to run the rounds of one federation.

It needs no torch. What it knows and does is in the federation's folder, so it can be killed at any
moment and started again; what it reports to Flower counts for nothing.
"""

import faulthandler
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import structlog
from flwr.app import Context
from flwr.serverapp import Grid, ServerApp

from coordinator.federation import rounds
from coordinator.federation.claim import Claim
from coordinator.federation.clock import Clock
from coordinator.federation.fleet import Fleet
from coordinator.federation.grid_fleet import GridFleet
from coordinator.federation.liveness import alive
from coordinator.federation.plan import (
    FederationFileError,
    FederationOutcome,
    read_outcome,
    read_plan,
    write_outcome,
)

FEDERATIONS_VARIABLE = "SYNOPTIC_FEDERATIONS"
"""Names the environment variable with the folder that holds the folders of all federations."""
FEDERATION_KEY = "federation-id"
"""Names the only setting of a run."""
LOG_FILE = "server_app.log"

_SILENCE_S = 120.0
"""A SuperLink that does not answer for so long has lost this run; the coordinator starts another."""
_ID = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")

app = ServerApp()


@app.main()
def main(grid: Grid, context: Context) -> None:
    """Run the rounds of the federation that the run names."""
    folder = federation_folder(os.environ, str(context.run_config.get(FEDERATION_KEY, "")))
    with alive(folder), (folder / LOG_FILE).open("a", buffering=1, encoding="utf-8") as log:
        _log_to(log)
        lead(GridFleet(grid, lambda: _bounded(log)), folder)


def federation_folder(environment: Mapping[str, str], federation_id: str) -> Path:
    """Folder of a federation.

    Raises
    ------
    FederationFileError
        The id is not one, or there is no such folder.
    """
    root = environment.get(FEDERATIONS_VARIABLE)
    if root is None or not _ID.fullmatch(federation_id) or not (Path(root) / federation_id).is_dir():
        raise FederationFileError(
            f"expected the folder of a federation in {FEDERATIONS_VARIABLE}={root}, found none "
            f"named {federation_id!r}; start runs through the coordinator"
        )
    return Path(root) / federation_id


def lead(fleet: Fleet, folder: Path, clock: Clock | None = None) -> FederationOutcome:
    """Run the rounds that a folder plans; a folder without a readable plan is a failed federation.

    Parameters
    ----------
    clock
        Time; that of the machine where None.
    """
    log = structlog.get_logger("federation")
    try:
        plan = read_plan(folder)
    except FederationFileError as failure:
        outcome = read_outcome(folder) or FederationOutcome(state="failed", cause=str(failure))
        with Claim(folder).held():
            write_outcome(folder, outcome)
        return outcome
    log.info("started", federation=plan.federation_id, process=os.getpid())
    try:
        return rounds.run(plan, fleet, folder, clock)
    except BaseException:
        # Flower keeps only one line of it.
        log.exception("stopped")
        raise


@contextmanager
def _bounded(log: TextIO) -> Iterator[None]:
    """End the process if this takes too long: Flower's client retries without end."""
    faulthandler.dump_traceback_later(_SILENCE_S, exit=True, file=log)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def _log_to(log: TextIO) -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=log),
    )
