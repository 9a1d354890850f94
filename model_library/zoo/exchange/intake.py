"""A bioimage.io package into a library."""

from pathlib import Path

from pydantic import ValidationError

from model_library.cards.card import NetworkCard
from model_library.errors import CardError, ExchangeError
from model_library.inference.weights import CARD_FILE, WEIGHTS_FILE, assemble
from model_library.zoo.exchange.adoption import adopt
from model_library.zoo.exchange.package import Package, open_package
from model_library.zoo.exchange.rehearsal import rehearse
from model_library.zoo.registry import Library
from model_library.zoo.shelf import put


def import_package(path: Path, library: Library, network_id: str | None = None) -> NetworkCard:
    """Take a network in, after it has given the package's test output here.

    Parameters
    ----------
    path
        The zip file.
    library
        Another one than the library that ships.
    network_id
        What to call the network; by default what its package calls it.

    Returns
    -------
    The card of the network as it now lies in the library.

    Raises
    ------
    ExchangeError
        The package is damaged, carries code, cannot be expressed here or contradicts its own test.
    CardError, WeightsError
        Card and weights of a package of Synoptic's own contradict each other.
    LibraryError
        The library cannot take the network.
    """
    package = open_package(path)
    # Ours say so, and carry a card; then the very network is restored, not its graph.
    if CARD_FILE in package.files and "synoptic" in (package.description.config.model_extra or {}):
        card, weights = _restored(package)
        if network_id is not None:
            card = _renamed(card, network_id)
        rehearse(assemble(card, weights, source=f"{path}: {WEIGHTS_FILE}"), package)
    else:
        card, weights = adopt(package, network_id)
    return put(library, card, weights)


def _restored(package: Package) -> tuple[NetworkCard, bytes]:
    """Give the very card and weights that Synoptic put into the package."""
    if WEIGHTS_FILE not in package.files:
        raise ExchangeError(
            f"{package.name}: expected {WEIGHTS_FILE} beside {CARD_FILE}, found none; fetch the package again"
        )
    try:
        card = NetworkCard.model_validate_json(package.files[CARD_FILE])
    except ValidationError as failure:
        raise CardError(
            f"{package.name}: expected a model card in {CARD_FILE}, found {failure}; fetch the package again"
        ) from failure
    return card, package.files[WEIGHTS_FILE]


def _renamed(card: NetworkCard, network_id: str) -> NetworkCard:
    try:
        return NetworkCard.model_validate({**card.model_dump(), "id": network_id})
    except ValidationError as failure:
        raise CardError(
            f"expected an id of small letters, digits and hyphens, found '{network_id}'; correct --id"
        ) from failure
