"""Weights from a folder on disk, believed only after they match their card."""

from dataclasses import dataclass
from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn

from model_library.cards.card import CARD_FILE, WEIGHTS_FILE, NetworkCard
from model_library.errors import CardError, WeightsError
from model_library.networks.build import build
from model_library.networks.facts import facts
from model_library.signing.digests import sha256_bytes

__all__ = ["CARD_FILE", "WEIGHTS_FILE", "LoadedNetwork", "assemble", "load_network", "read_card"]


@dataclass(frozen=True, slots=True)
class LoadedNetwork:
    """A card and the module with the weights that it promises, ready for inference."""

    card: NetworkCard
    module: nn.Module


def load_network(folder: Path) -> LoadedNetwork:
    """Load a network from its folder `{card.json, weights.safetensors}`.

    Raises
    ------
    CardError
        The card is missing or malformed, or its facts are not those of its architecture.
    WeightsError
        The weights are missing, or have another digest, other keys or shapes, or NaN or infinity.
    """
    card = read_card(folder)
    path = folder / WEIGHTS_FILE
    try:
        content = path.read_bytes()
    except OSError as failure:
        raise WeightsError(
            f"{path}: expected the weights of {card.id}, found {failure.strerror}; fetch the network again"
        ) from failure
    return assemble(card, content, source=str(path))


def read_card(folder: Path) -> NetworkCard:
    """Read and check the card of a network's folder; raises `CardError`."""
    path = folder / CARD_FILE
    try:
        card = NetworkCard.model_validate_json(path.read_bytes())
    except OSError as failure:
        raise CardError(
            f"{path}: expected a model card, found {failure.strerror}; name a folder that holds a network"
        ) from failure
    except ValidationError as failure:
        raise CardError(
            f"{path}: expected a model card, found {failure.error_count()} errors: {failure}; "
            "fetch the network again"
        ) from failure
    expected = facts(card.config)
    if card.facts != expected:
        raise CardError(
            f"{path}: expected the facts of its architecture ({expected}), found {card.facts}; "
            "the card was edited or made by another version: fetch the network again"
        )
    return card


def assemble(card: NetworkCard, content: bytes, *, source: str) -> LoadedNetwork:
    """Join a card and the bytes of a safetensors file.

    The digest is taken of the very bytes that are parsed, so nothing can change in between.

    Raises
    ------
    WeightsError
        Another digest, other keys or shapes, not safetensors, NaN or infinity.
    """
    found = sha256_bytes(content)
    if found != card.weights_sha256:
        raise WeightsError(
            f"{source}: expected SHA-256 {card.weights_sha256}, found {found}; fetch the network again"
        )
    try:
        state = load(content)
    except SafetensorError as failure:
        raise WeightsError(
            f"{source}: expected safetensors, found {failure}; fetch the network again"
        ) from None
    with torch.device("meta"):
        module = build(card.config)
    _check_state(module.state_dict(), state, source)
    module.load_state_dict(state, strict=True, assign=True)
    module = module.requires_grad_(False).eval()
    return LoadedNetwork(card, module.to(memory_format=torch.channels_last))  # type: ignore[call-overload]


def _check_state(expected: dict[str, Tensor], found: dict[str, Tensor], source: str) -> None:
    if expected.keys() != found.keys():
        missing, extra = sorted(expected.keys() - found.keys()), sorted(found.keys() - expected.keys())
        raise WeightsError(
            f"{source}: expected the architecture's keys, found {len(missing)} missing {missing[:3]} and "
            f"{len(extra)} unknown {extra[:3]}; fetch the network again"
        )
    for key, tensor in found.items():
        if tensor.shape != expected[key].shape or tensor.dtype != torch.float32:
            raise WeightsError(
                f"{source}: expected {key} as float32 {tuple(expected[key].shape)}, "
                f"found {tensor.dtype} {tuple(tensor.shape)}; fetch the network again"
            )
        if not torch.isfinite(tensor).all():
            raise WeightsError(
                f"{source}: expected finite weights, found NaN or infinity in {key}; do not use this network"
            )
