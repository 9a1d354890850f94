"""Refusals of the simulations."""

from model_library.errors import SynopticError


class SimulationError(SynopticError):
    """Something that the simulations refuse or cannot do."""


class ScenarioError(SimulationError):
    """A scenario, or a folder of micrographs that should become one, contradicts itself."""


class WorkspaceError(SimulationError):
    """The demo's folder holds another run, or something else."""
