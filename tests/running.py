"""Processes of this machine, found by what their command lines hold."""

from pathlib import Path

from simulations.processes import command


def naming(folder: Path) -> dict[int, str]:
    """Commands of the processes that name a folder, by process id."""
    commands = {int(entry.name): command(int(entry.name)) for entry in Path("/proc").glob("[0-9]*")}
    return {pid: line for pid, line in commands.items() if str(folder) in line}
