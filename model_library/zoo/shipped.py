"""Where the networks that ship lie; found without torch."""

from pathlib import Path

from model_library.cards.card import CARD_FILE
from model_library.errors import UnknownNetwork


def library_folder() -> Path:
    """Where the networks that ship lie, one folder each."""
    return Path(__file__).parent / "weights"


def shipped_network(network_id: str) -> Path:
    """Folder of a network that ships.

    Raises
    ------
    UnknownNetwork
        None of this id does.
    """
    folder = library_folder() / network_id
    if not (folder / CARD_FILE).is_file():
        raise UnknownNetwork(
            f"expected the id of a network, found '{network_id}'; see `synoptic library list`"
        )
    return folder
