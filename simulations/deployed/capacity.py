"""Whether this machine holds a fleet of real processes."""

from pathlib import Path

from simulations.errors import ScenarioError

SITE_MIB, COORDINATOR_MIB = 1150.0, 900.0
"""What one site and the coordinator were seen to hold at most, each with all that it starts."""


class TooLarge(ScenarioError):
    """A fleet needs more memory than this machine has."""


def available_mib(told: Path = Path("/proc/meminfo")) -> float:
    """Memory that processes could still get, as Linux estimates it."""
    lines = dict(line.split(":") for line in told.read_text().splitlines() if ":" in line)
    return float(lines["MemAvailable"].split()[0]) / 1024


def refuse_too_large(sites: int, available: float) -> None:
    """Raise `TooLarge` where so many sites need more than `available` MiB."""
    needed = COORDINATOR_MIB + sites * SITE_MIB
    if needed <= available:
        return
    fit = int((available - COORDINATOR_MIB) // SITE_MIB)
    remedy = f"run the first ones with --sites {fit}" if fit >= 2 else "free some"
    raise TooLarge(
        f"expected {needed:.0f} MiB of free memory for {sites} sites as real processes, {SITE_MIB:.0f} each, "
        f"found {available:.0f}; {remedy}, or leave out --processes: Flower's engine needs far less"
    )
