"""From references to methods that run; torch is imported on first use."""

from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.method import Method
from benchmark.served import Sized
from coordinator.workplace import Workplace
from model_library.cards.card import NetworkCard
from model_library.wire.methods import MethodRef, NetworkRef
from model_library.wire.tasks import Segment, Task

if TYPE_CHECKING:
    from model_library.zoo.registry import Library


def library_of(place: Workplace) -> "Library":
    """Open the library of pre-trained networks."""
    from model_library.zoo.registry import Library

    return Library(place.library)


def network_folder(place: Workplace, ref: NetworkRef) -> Path:
    """Folder of a network version: made here, or of the library."""
    own = place.settings.networks / ref.weights_sha256
    return own if own.is_dir() else library_of(place).path(ref.id)


def card_of(place: Workplace, ref: NetworkRef) -> NetworkCard:
    """Read the card of a network version."""
    return NetworkCard.model_validate_json((network_folder(place, ref) / "card.json").read_bytes())


def networks_for(place: Workplace, task: Task) -> tuple[NetworkCard, ...]:
    """Cards of all networks that do this very task: those of the library, then those returned to it."""
    known = library_of(place).for_task(task)
    returned = tuple(card_of(place, each.ref) for each in place.returned.for_task(task))
    digests = {card.weights_sha256 for card in known}
    return (*known, *(card for card in returned if card.weights_sha256 not in digests))


def method_of(place: Workplace, ref: MethodRef, task: Task) -> Method:
    """Build the method that a reference names; a network knows the pixel sizes that it was made for."""
    if not isinstance(ref, NetworkRef):
        from benchmark.baselines import classical

        return classical(ref, task)
    from model_library.inference.engine import NetworkMethod, load_network

    settings = place.settings
    network = load_network(network_folder(place, ref))
    wanted_nm = network.card.pixel_size_nm
    if isinstance(task, Segment):
        import torch

        from benchmark.networks import SegmentingMethod

        torch.set_num_threads(settings.threads)
        return Sized(SegmentingMethod(network), wanted_nm, gives_labels=True)
    method = NetworkMethod(network, tile_px=settings.assessment.tile_px, threads=settings.threads)
    return Sized(method, wanted_nm)
