"""From the id of a network to its card and its verified weights."""

from pathlib import Path

from model_library.cards.card import NetworkCard
from model_library.errors import UnknownNetwork
from model_library.inference.self_test import check_self_test
from model_library.inference.weights import CARD_FILE, LoadedNetwork, load_network, read_card
from model_library.wire.tasks import Task
from model_library.zoo.shipped import library_folder


class Library:
    """The networks in a folder, each in a folder named by its id."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = library_folder() if folder is None else folder

    def ids(self) -> tuple[str, ...]:
        """Ids of all networks, sorted."""
        return tuple(sorted(path.parent.name for path in self.folder.glob(f"*/{CARD_FILE}")))

    def path(self, network_id: str) -> Path:
        """Folder of a network; raises `UnknownNetwork`."""
        if network_id not in self.ids():
            raise UnknownNetwork(
                f"expected one of {', '.join(self.ids()) or 'no networks at all'} in {self.folder}, "
                f"found '{network_id}'; see `synoptic library list`"
            )
        return self.folder / network_id

    def card(self, network_id: str) -> NetworkCard:
        """Card of a network, its facts checked; raises `UnknownNetwork`, `CardError`."""
        return read_card(self.path(network_id))

    def load(self, network_id: str) -> LoadedNetwork:
        """Card and weights, verified; raises `UnknownNetwork`, `CardError`, `WeightsError`."""
        return load_network(self.path(network_id))

    def verify(self, network_id: str) -> NetworkCard:
        """Check digest, keys, shapes, finiteness, facts and the card's self-test; raises as `load` does."""
        network = self.load(network_id)
        check_self_test(network)
        return network.card

    def for_task(self, task: Task) -> tuple[NetworkCard, ...]:
        """Cards of the networks that do this very task (for super-resolution, at this scale)."""
        return tuple(card for card in map(self.card, self.ids()) if card.task == task)
