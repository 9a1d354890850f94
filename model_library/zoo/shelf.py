"""Putting networks into a library folder and taking them out; the library that ships stays as it is."""

import shutil
from pathlib import Path
from uuid import uuid4

from model_library.cards.card import NetworkCard
from model_library.errors import LibraryError, WeightsError
from model_library.images.durable import TEMPORARY_SUFFIX, sync_folder, write_durably
from model_library.inference.self_test import check_self_test
from model_library.inference.weights import CARD_FILE, WEIGHTS_FILE, load_network, read_card
from model_library.zoo.registry import Library
from model_library.zoo.shipped import library_folder
from model_library.zoo.store import card_bytes


def put(library: Library, card: NetworkCard, weights: bytes) -> NetworkCard:
    """Add a network: written aside, verified there, then given its name in one step.

    Parameters
    ----------
    library
        Another one than the library that ships; its folder is made if missing.
    card
        Its id becomes the name of the network's folder.
    weights
        The safetensors file that the card promises.

    Raises
    ------
    LibraryError
        The library is the one that ships, holds a network of this id, or cannot be written to.
    CardError, WeightsError
        Card and weights contradict each other.
    """
    _refuse_shipped(library)
    final = library.folder / card.id
    if final.exists():
        raise LibraryError(
            f"expected no network {card.id} in {library.folder}, found one; remove it first "
            "(synoptic library remove) or choose another id"
        )
    # Two levels down, where no library looks for cards.
    aside = library.folder / f".{card.id}.{uuid4().hex}{TEMPORARY_SUFFIX}"
    staged = aside / card.id
    try:
        staged.mkdir(parents=True)
        write_durably(staged / WEIGHTS_FILE, weights)
        write_durably(staged / CARD_FILE, card_bytes(card))
        check_self_test(load_network(staged))
        staged.rename(final)
        sync_folder(library.folder)
    except OSError as failure:
        raise LibraryError(
            f"{library.folder}: expected a folder to write to, found {failure.strerror}; correct --folder"
        ) from failure
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return card


def add(library: Library, source: Path) -> NetworkCard:
    """Add a copy of a network from its folder, or from the card in it; raises as `put` does."""
    folder = source.parent if source.name == CARD_FILE else source
    card = read_card(folder)
    try:
        weights = (folder / WEIGHTS_FILE).read_bytes()
    except OSError as failure:
        raise WeightsError(
            f"{folder / WEIGHTS_FILE}: expected the weights of {card.id}, found {failure.strerror}; "
            "name a folder that holds card and weights"
        ) from failure
    return put(library, card, weights)


def remove(library: Library, network_id: str) -> None:
    """Take a network out; readers see all of it or nothing.

    Raises
    ------
    LibraryError
        The library is the one that ships, or cannot be written to.
    UnknownNetwork
        It is not there.
    """
    _refuse_shipped(library)
    folder = library.path(network_id)
    aside = library.folder / f".{network_id}.{uuid4().hex}{TEMPORARY_SUFFIX}"
    try:
        aside.mkdir()
        folder.rename(aside / network_id)
        sync_folder(library.folder)
    except OSError as failure:
        raise LibraryError(
            f"{folder}: expected a network that can be removed, found {failure.strerror}; "
            "correct the permissions"
        ) from failure
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _refuse_shipped(library: Library) -> None:
    if library.folder.resolve() == library_folder().resolve():
        raise LibraryError(
            "expected a library of your own, found the one that ships, which only releases of Synoptic "
            "change; name a folder with --folder"
        )
