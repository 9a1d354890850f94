"""The weights that a federation begins with, and the network that it ends with."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from coordinator.errors import CannotFederate
from coordinator.federation.records import Start
from coordinator.methods import card_of, network_folder
from coordinator.store.values import Federation
from coordinator.workplace import Workplace
from model_library.cards.acquisition import AcquisitionRange
from model_library.cards.card import Lineage, NetworkCard, TrainingData, tuned_field
from model_library.errors import SynopticError
from model_library.signing.digests import sha256_bytes
from model_library.wire.methods import NetworkRef
from model_library.wire.tasks import SuperResolve, Task

if TYPE_CHECKING:
    from coordinator.federation.plan import RoundRecord

_TOGETHER = " Learned together by "


def soup(contents: Sequence[bytes]) -> bytes:
    """Average networks of one architecture, key by key, in float64.

    The mean of networks tuned from a common ancestor is often better than each of them (model soup,
    Wortsman et al. 2022).

    Parameters
    ----------
    contents
        safetensors files with float32 weights of the same keys and shapes.

    Raises
    ------
    CannotFederate
        Without networks, or where their keys or shapes differ.
    """
    from safetensors.numpy import load, save

    states = [load(content) for content in contents]
    forms = {tuple(sorted((key, array.shape) for key, array in state.items())) for state in states}
    if len(forms) != 1:
        message = (
            f"expected networks of one architecture, found {len(forms)} forms of weights; see their cards"
        )
        raise CannotFederate(message)
    mean = {
        key: np.mean([state[key].astype(np.float64) for state in states], axis=0).astype(np.float32)
        for key in sorted(states[0])
    }
    return save(mean)


def start_weights(place: Workplace, start: Start) -> bytes:
    """Average the networks of those members that have a common ancestor with most.

    The mean of unrelated networks would be worth nothing; members with such a one take part all the same.

    Raises
    ------
    CannotFederate
        A network is not what its reference promises.
    """
    contents = []
    for card in _related(place, start).cards:
        ref = _own(card)
        content = (network_folder(place, ref) / "weights.safetensors").read_bytes()
        found = sha256_bytes(content)
        if found != ref.weights_sha256:
            message = f"expected weights {ref.weights_sha256} of {ref.id}, found {found}; restore the file"
            raise CannotFederate(message)
        contents.append(content)
    return soup(contents)


def keep_network(
    place: Workplace, federation: Federation, weights: bytes, rounds: "Sequence[RoundRecord]"
) -> NetworkRef:
    """Keep the result of a federation as a network version; keeping it twice is keeping it once.

    Raises
    ------
    WeightsError
        The weights are not finite, or not those of the architecture.
    """
    start = Start.model_validate_json(federation.start)
    return keep_as_version(place, federation, _card(place, federation, start, rounds), weights)


def keep_as_version(
    place: Workplace, federation: Federation, draft: NetworkCard, weights: bytes
) -> NetworkRef:
    """Keep weights under their digest, with a card that bears the federation's number as its version.

    Raises
    ------
    WeightsError
        The weights are not finite, or not those of the architecture.
    """
    from model_library.inference.weights import assemble
    from model_library.zoo.store import save_network, weights_bytes

    named = draft.model_copy(update={"weights_sha256": sha256_bytes(weights)})
    module = assemble(named, weights, source=federation.id).module
    sha256 = sha256_bytes(weights_bytes(module))
    card = draft.model_copy(update={"version": f"{federation.number}+{sha256[:8]}", "weights_sha256": sha256})
    save_network(place.settings.networks / sha256, module, card)
    return NetworkRef(id=card.id, version=card.version, weights_sha256=sha256)


def network_id(task: Task) -> str:
    """Name the networks that federations of a task make."""
    scale = f"-x{task.scale}" if isinstance(task, SuperResolve) else ""
    return f"federated-{task.kind.replace('_', '-')}{scale}"


def nearest_common(lines: Sequence[Sequence[NetworkRef]]) -> NetworkRef:
    """Name the network that most of these are or descend from, and of such the nearest.

    Parameters
    ----------
    lines
        Of each network itself, its parent, its parent's parent and so on.
    """
    counts = Counter(ref for line in lines for ref in line)
    steps = Counter({ref: sum(line.index(ref) for line in lines if ref in line) for ref in counts})
    # Of equals by digest, so that no order matters.
    return max(counts, key=lambda ref: (counts[ref], -steps[ref], ref.weights_sha256))


@dataclass(frozen=True)
class _Related:
    """Cards of the members' networks that have an ancestor in common, and that ancestor."""

    ancestor: NetworkRef
    cards: tuple[NetworkCard, ...]


def _related(place: Workplace, start: Start) -> _Related:
    lines = {member.instrument_id: _line(place, member.network) for member in start.members}
    ancestor = nearest_common([*lines.values()])
    chosen = [each.network for each in start.members if ancestor in lines[each.instrument_id]]
    return _Related(ancestor, tuple(card_of(place, ref) for ref in chosen))


def _line(place: Workplace, ref: NetworkRef) -> tuple[NetworkRef, ...]:
    """Follow a network's descent as far as it is known here."""
    line = [ref]
    lineage = card_of(place, ref).lineage
    while lineage is not None and (parent := _parent(lineage)) not in line:
        line.append(parent)
        try:
            card = card_of(place, parent)
        except SynopticError:
            break  # It has left the library since.
        lineage = card.lineage if _own(card) == parent else None
    return tuple(line)


def _own(card: NetworkCard) -> NetworkRef:
    return NetworkRef(id=card.id, version=card.version, weights_sha256=card.weights_sha256)


def _parent(lineage: Lineage) -> NetworkRef:
    return NetworkRef(
        id=lineage.parent_id, version=lineage.parent_version, weights_sha256=lineage.parent_weights_sha256
    )


def tuned_fields(cards: Sequence[NetworkCard], rounds: "Sequence[RoundRecord]") -> tuple[str, ...]:
    """Collect `<instrument>/<field>` of whatever any round or any network at the start was tuned on."""
    before = {field for card in cards if card.lineage is not None for field in card.lineage.tuned_fields}
    seen = {
        tuned_field(instrument, field)
        for each in rounds
        for instrument, fields in each.fields.items()
        for field in fields
    }
    return tuple(sorted(before | seen))


def _card(
    place: Workplace, federation: Federation, start: Start, rounds: "Sequence[RoundRecord]"
) -> NetworkCard:
    related = _related(place, start)
    ref, cards = related.ancestor, related.cards
    # Its own card, or that of a descendant: the ancestor may have left the library since.
    parent = max(cards, key=lambda card: card.weights_sha256 == ref.weights_sha256)
    lineage = Lineage(
        parent_id=ref.id,
        parent_version=ref.version,
        parent_weights_sha256=ref.weights_sha256,
        campaign=federation.id,
        tuned_fields=tuned_fields(cards, rounds),
    )
    sites = ", ".join(sorted(member.site for member in start.members))
    update = {
        "id": network_id(start.task),
        "purpose": f"{parent.purpose.partition(_TOGETHER)[0]}{_TOGETHER}{sites}.",
        "training_data": (*_known_data(cards), *_site_data(rounds)),
        "pixel_size_nm": start.pixel_size_nm,
        "acquisition": acquired(place, [member.instrument_id for member in start.members]),
        "scores": (),
        "lineage": lineage,
    }
    return parent.model_copy(update=update)


def acquired(place: Workplace, instruments: Sequence[str]) -> AcquisitionRange | None:
    """Tell how instruments acquire, by the images that they sent: the frames of a round stay at its site."""
    return AcquisitionRange.of(image.acquisition for each in instruments for image in place.images.of(each))


def _known_data(cards: Sequence[NetworkCard]) -> tuple[TrainingData, ...]:
    return tuple(dict.fromkeys(item for card in cards for item in card.training_data))


def _site_data(rounds: "Sequence[RoundRecord]") -> tuple[TrainingData, ...]:
    examples: dict[str, int] = {}
    for each in rounds:
        _keep_most(examples, each.examples)
    return tuple(
        TrainingData(
            source=f"frames of {site}, in rounds of a federation",
            terms="of the site; the frames did not leave it",
            images=count,
            simulated=False,
        )
        for site, count in sorted(examples.items())
    )


def _keep_most(examples: dict[str, int], found: Mapping[str, int]) -> None:
    for site, count in found.items():
        examples[site] = max(count, examples.get(site, 0))
