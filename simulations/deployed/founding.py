"""From a scenario to a coordinator and sites that are ready to federate: founded, enrolled, equipped."""

import math
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from benchmark.splits import field_key
from coordinator.federation.plan import FederationPlan
from coordinator.publishing import release_assigned
from coordinator.settings import FederationSettings
from coordinator.store.values import ReleasePurpose
from model_library.cards.card import NetworkCard
from model_library.networks.facts import facts
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import Denoise
from model_library.zoo.registry import Library
from model_library.zoo.store import save_network
from simulations.coordinator_memory import memory_of
from simulations.errors import ScenarioError
from simulations.fleets.learning import module_of
from simulations.fleets.planned import StartNetwork
from simulations.fleets.scenario import FleetScenario, FreshNetwork, LibraryNetwork
from simulations.fleets.sites import Instrument, SiteFiles
from simulations.scenario import SiteScenario
from simulations.workspace import Workspace

_FEWEST = 2
_NO_DIGEST = "0" * 64


def shrunk(scenario: FleetScenario, sites: int) -> FleetScenario:
    """Lower the quorum in proportion where only so many of a scenario's sites are run."""
    asked = scenario.federation.get("quorum")
    if not isinstance(asked, int) or sites == scenario.count:
        return scenario
    fewer = max(1, math.ceil(asked * sites / scenario.count))
    return scenario.model_copy(update={"federation": {**scenario.federation, "quorum": fewer}})


def federation_settings(scenario: FleetScenario, plan: FederationPlan) -> dict[str, Any]:
    """Make settings of the coordinator's rounds; what the scenario leaves open is as coordinators have it.

    Raises
    ------
    ScenarioError
        The scenario has too few instruments, or a setting that coordinators do not have.
    """
    if len(plan.members) < _FEWEST:
        raise ScenarioError(
            f"expected at least {_FEWEST} sites for a coordinator's federation, found {len(plan.members)}; "
            "add instruments, or leave out --processes"
        )
    wanted = {**scenario.federation, "quorum": max(_FEWEST, plan.quorum), "automatic": False}
    try:
        FederationSettings.model_validate(wanted)
    except ValidationError as failure:
        told = "; ".join(
            f"{'.'.join(str(part) for part in each['loc'])} {each['msg']}"
            for each in failure.errors(include_url=False, include_input=False)
        )
        raise ScenarioError(
            f"expected settings of a coordinator in [federation], found: {told}; correct them, or leave out "
            "--processes"
        ) from None
    return wanted


def lay_library(
    folder: Path, scenario: FleetScenario, network: StartNetwork, plan: FederationPlan
) -> NetworkRef:
    """Make a library of the network that the rounds begin with, and name it."""
    match scenario.network:
        case LibraryNetwork(id=name):
            shutil.copytree(Library().path(name), folder / name)
            return Library(folder).card(name).ref
        case FreshNetwork():
            card = NetworkCard(
                id="fresh",
                version="1",
                purpose="Drawn at random, to be trained in a simulation.",
                task=Denoise(),
                config=network.config,
                facts=facts(network.config),
                weights_sha256=_NO_DIGEST,
                seed=scenario.seed,
            )
            return save_network(folder / card.id, module_of(network.weights, plan), card).ref


def enrolled_as(instruments: Sequence[Instrument]) -> list[SiteScenario]:
    """Sites as they enrol: without pixel sizes, since a coordinator lets only similar ones learn together."""
    return [each.site.model_copy(update={"pixel_size_nm": None}) for each in instruments]


def equip(data: Path, network: NetworkRef, sites: Sequence[SiteFiles]) -> None:
    """Give every enrolled instrument the network, in the place of what its campaign would lead to."""
    files = {each.id: each for each in sites}
    with memory_of(data) as memory:
        for instrument in memory.place.identities.all():
            memory.end_campaign(instrument.id)
            trained = files[instrument.site_name].trained
            memory.hold_for_tuning(instrument.id, (field_key(each.field, each.sha256) for each in trained))
            release_assigned(
                *(memory.place, instrument, network, ("a simulation begins with it",)),
                f"simulated-{instrument.site_name}",
                ReleasePurpose.FINAL,
            )


def acquire_into(workspace: Workspace, site: SiteFiles) -> None:
    """Write a site's frames as an instrument does, oldest first: each is seen only once it is whole."""
    folder = workspace.acquisitions(site.id)
    for frame in reversed(site.trained):
        source = Path(frame.path)
        hidden = folder / f".{source.name}.part"
        shutil.copyfile(source, hidden)
        hidden.rename(folder / source.name)
