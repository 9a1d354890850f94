"""From a scenario to the plan of its rounds and the weights that they begin with."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from coordinator.federation.plan import FederationPlan, Member
from coordinator.settings.algorithms import FedBN
from model_library.networks.config import NetworkConfig
from simulations.errors import ScenarioError
from simulations.fleets.scenario import FleetScenario, FreshNetwork, LibraryNetwork
from simulations.fleets.sites import Instrument

if TYPE_CHECKING:
    from numpy.typing import NDArray

_HOUR_S = 3600.0
_FIXED = ("federation_id", "task", "config", "members")


@dataclass(frozen=True, slots=True)
class StartNetwork:
    """A network to begin with: its name, architecture and weights by key."""

    name: str
    config: NetworkConfig
    weights: "dict[str, NDArray[Any]]"

    @property
    def parameters(self) -> int:
        """Numbers in all arrays."""
        return sum(array.size for array in self.weights.values())


def start_network(scenario: FleetScenario) -> StartNetwork:
    """Load the network of the library, or draw a fresh one by the scenario's seed."""
    import torch

    from model_library.networks.build import build
    from model_library.zoo.registry import Library

    match scenario.network:
        case LibraryNetwork(id=name):
            loaded = Library().load(name)
            module, config = loaded.module, loaded.card.config
        case FreshNetwork() as fresh:
            name, config = "a fresh U-Net", fresh.config(scenario.task)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(scenario.seed)
                module = build(config)
    return StartNetwork(name, config, {key: t.numpy().copy() for key, t in module.state_dict().items()})


def plan_of(
    scenario: FleetScenario,
    instruments: Sequence[Instrument],
    config: NetworkConfig,
    variant: Mapping[str, Any] = MappingProxyType({}),
) -> FederationPlan:
    """Plan the rounds; what `federation` in the scenario leaves open suits a fleet that is always there.

    Parameters
    ----------
    variant
        Settings in the place of those.

    Raises
    ------
    ScenarioError
        `federation` holds a setting that is none, or that does not fit the instruments.
    """
    wanted = {**scenario.federation, **variant}
    if taken := sorted(set(_FIXED) & wanted.keys()):
        raise ScenarioError(
            f"expected settings of rounds in [federation], found {', '.join(taken)}, which follow from the "
            "rest of the scenario; remove them"
        )
    settings = {
        "quorum": math.ceil(len(instruments) / 2),
        "assemble_s": _HOUR_S,
        "round_s": _HOUR_S,
        "seed": scenario.seed,
        **wanted,
    }
    try:
        plan = FederationPlan.model_validate(
            {
                **settings,
                "federation_id": scenario.name,
                "task": scenario.task,
                "config": config,
                "members": tuple(Member(instrument_id=each.id, site=each.id) for each in instruments),
            }
        )
    except ValidationError as failure:
        told = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])} {each['msg']}"
            for each in failure.errors(include_url=False, include_input=False)[:3]
        )
        raise ScenarioError(
            f"expected settings of rounds in [federation], found: {told}; correct them"
        ) from None
    if not isinstance(plan.algorithm, FedBN):
        return plan
    from model_library.networks.parts import head_keys, normalisation_keys

    keeps = tuple(dict.fromkeys((*normalisation_keys(config), *head_keys(config))))
    return plan.model_copy(update={"keeps": keeps})
