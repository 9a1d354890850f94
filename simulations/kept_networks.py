"""Networks as a run left them: where their weights lie, and what they were tuned on."""

from collections.abc import Callable, Sequence
from pathlib import Path

from benchmark.method import Method
from model_library.cards.card import NetworkCard, tuned_field
from model_library.inference.weights import CARD_FILE, read_card
from model_library.wire.base import Message
from model_library.wire.methods import MethodRef, NetworkRef
from model_library.zoo.registry import Library
from simulations.errors import SimulationError
from simulations.overview import Overview
from simulations.scenario import SiteScenario
from simulations.workspace import Workspace
from site_client.reconstruct import load_method


def methods(workspace: Workspace, site: SiteScenario) -> Callable[[MethodRef], Method]:
    """Make methods as a site would, each on one thread."""

    def method_of(ref: MethodRef) -> Method:
        folder = network_folder(workspace, site.name, ref) if isinstance(ref, NetworkRef) else None
        return load_method(ref, site.task, folder, threads=1)

    return method_of


def network_folder(workspace: Workspace, site: str, ref: NetworkRef) -> Path:
    """Find a network: as the site installed it, as the coordinator made it, or in the library.

    Raises
    ------
    SimulationError
        It is in none of these.
    """
    places = (
        workspace.site(site) / "networks" / ref.weights_sha256,
        workspace.coordinator / "networks" / ref.weights_sha256,
        Library().folder / ref.id,
    )
    for place in places:
        if (place / CARD_FILE).exists():
            return place
    raise SimulationError(
        f"expected network {ref.id} {ref.version} in one of {', '.join(map(str, places))}, found it in none; "
        "keep the workspace as the run left it"
    )


def tuned_fields(workspace: Workspace, site: str, instrument: str, ref: MethodRef) -> frozenset[str]:
    """List the fields of view of an instrument that a method, or an ancestor of it, was tuned on.

    Parameters
    ----------
    instrument
        Lineage names a field `<instrument>/<field>`.
    ref
        A classical algorithm is tuned on fields of the tuning split only, which are barred anyway.
    """
    if not isinstance(ref, NetworkRef):
        return frozenset()
    card = read_card(network_folder(workspace, site, ref))
    told = () if card.lineage is None else card.lineage.tuned_fields
    own = tuned_field(instrument, "")
    return frozenset(field.removeprefix(own) for field in told if field.startswith(own))


class ReturnedNetwork(Message):
    """A network that was made in the run, served an instrument, and so returned to the library.

    `tuned_fields` counts those of the whole descent; `sites` had it released to them.
    """

    id: str
    version: str
    weights_sha256: str
    parent: str
    origin: str
    tuned_fields: int
    sites: tuple[str, ...]


def returned_networks(workspace: Workspace, overview: Overview) -> tuple[ReturnedNetwork, ...]:
    """List the networks that were made here and released, in the order of their first release."""
    sites: dict[NetworkRef, list[str]] = {}
    released = [(each, name) for name in overview.sites for each in overview.releases_of(name)]
    for release, site in sorted(released, key=lambda pair: (str(pair[0].published_at), pair[1])):
        if isinstance(release.method, NetworkRef):
            sites.setdefault(release.method, []).append(site)
    return tuple(
        _returned(card, names)
        for ref, names in sites.items()
        if (folder := workspace.coordinator / "networks" / ref.weights_sha256).is_dir()
        and (card := read_card(folder)).lineage is not None
    )


def _returned(card: NetworkCard, sites: Sequence[str]) -> ReturnedNetwork:
    assert card.lineage is not None
    return ReturnedNetwork(
        id=card.id,
        version=card.version,
        weights_sha256=card.weights_sha256,
        parent=f"{card.lineage.parent_id} {card.lineage.parent_version}",
        origin=card.lineage.campaign,
        tuned_fields=len(card.lineage.tuned_fields),
        sites=tuple(dict.fromkeys(sites)),
    )
