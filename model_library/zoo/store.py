"""Networks into folders: safetensors beside a card that holds their digest."""

from pathlib import Path

from safetensors.torch import save
from torch import Tensor, nn

from model_library.cards.card import CardScore, NetworkCard
from model_library.errors import CardError
from model_library.images.durable import write_durably
from model_library.inference.weights import CARD_FILE, WEIGHTS_FILE, assemble, read_card
from model_library.signing.digests import sha256_bytes, sha256_file

GAIN = "_gain"
"""Ends the name of a metric that is the paired difference to the best classical algorithm."""
_SHORT_OF = "Not certainly better than the best tuned classical algorithm,"


def weights_bytes(module: nn.Module) -> bytes:
    """Pack the weights of a module as a safetensors file; equal weights give equal bytes."""
    state: dict[str, Tensor] = module.state_dict()
    return save({key: state[key].detach().contiguous() for key in sorted(state)})


def save_network(folder: Path, module: nn.Module, card: NetworkCard) -> NetworkCard:
    """Write a network, its weights first, and read it back before it is believed.

    Parameters
    ----------
    folder
        Made if missing; an earlier network in it is replaced.
    module
        With float32 weights.
    card
        Its digest is replaced by that of the weights.

    Returns
    -------
    The card as written.

    Raises
    ------
    WeightsError
        The weights are not finite, or not those of the card's architecture.
    """
    content = weights_bytes(module)
    final = card.model_copy(update={"weights_sha256": sha256_bytes(content)})
    assemble(final, content, source=str(folder / WEIGHTS_FILE))
    folder.mkdir(parents=True, exist_ok=True)
    write_durably(folder / WEIGHTS_FILE, content)
    _write_card(folder, final)
    return final


def save_scores(folder: Path, scores: tuple[CardScore, ...]) -> NetworkCard:
    """Replace the scores on a card, and say among its limits where a classical algorithm may be as good.

    The weights must be those of the card.

    Raises
    ------
    CardError
        The digest of the weights beside it is another one.
    """
    card = read_card(folder)
    found = sha256_file(folder / WEIGHTS_FILE)
    if found != card.weights_sha256:
        raise CardError(
            f"{folder}: expected weights {card.weights_sha256}, found {found}; scores belong to other weights"
        )
    limits = tuple(limit for limit in card.limits if not limit.startswith(_SHORT_OF))
    final = card.model_copy(update={"scores": scores, "limits": limits + shortfalls(scores)})
    _write_card(folder, final)
    return final


def shortfalls(scores: tuple[CardScore, ...]) -> tuple[str, ...]:
    """Say of every paired gain whose interval reaches zero that it is none for certain."""
    return tuple(
        f"{_SHORT_OF} {score.best_classical}: {score.metric} {score.value:+.3f} "
        f"[{score.ci95[0]:+.3f}, {score.ci95[1]:+.3f}] on {score.suite}."
        for score in scores
        if score.metric.endswith(GAIN) and score.ci95[0] <= 0
    )


def _write_card(folder: Path, card: NetworkCard) -> None:
    write_durably(folder / CARD_FILE, (card.model_dump_json(indent=2) + "\n").encode())
