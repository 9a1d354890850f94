"""Benchmarks that packages above this one contribute, found as entry points: nothing is imported upwards."""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

import typer

GROUP = "synoptic.benchmarks"
"""Each entry names a function that is given the application and adds its command."""


def add_contributed(app: typer.Typer, found: Iterable[EntryPoint] | None = None) -> None:
    """Add what the installed packages contribute.

    A package that cannot be imported, because its extra is not installed, contributes nothing: the other
    benchmarks work all the same.

    Parameters
    ----------
    found
        Entry points; None for those of the installation.
    """
    for entry in entry_points(group=GROUP) if found is None else found:
        try:
            register = entry.load()
        except ImportError:
            continue
        register(app)
