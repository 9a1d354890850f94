"""What hostile or broken instruments send in the place of an honest update."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from model_library.cards.adaptation import AdaptationReport

Update = dict[str, NDArray[np.float32]]

_FACTOR = -100.0
_BOAST = 1_000_000
"""Examples that an instrument claims which wants to outweigh all others."""


class Attack(StrEnum):
    """What an attacker does."""

    SIGN_FLIP = "sign_flip"
    """Sends the opposite of what it learned."""
    SCALE = "scale"
    """Sends -100 times what it learned."""
    NOISE = "noise"
    """Sends noise that is as large as what it learned."""
    WRONG_TARGETS = "wrong_targets"
    """Learns from labels whose classes have changed places (label flip). Where a task has no labels: from
    frames whose pixels were shuffled, that structure is noise, and flatness the truth."""
    NAN = "nan"
    """Sends NaN."""
    SHAPE = "shape"
    """Sends an array of another shape."""
    KEY = "key"
    """Sends an array that the network has not."""
    WEIGHT = "weight"
    """Claims a million examples for the opposite of what it learned."""
    MALFORMED = "malformed"
    """One of NaN, shape, key and weight, each attacker another."""


_MALFORMED = (Attack.NAN, Attack.SHAPE, Attack.KEY, Attack.WEIGHT)


def attack_of(kind: Attack, place: int) -> Attack:
    """Tell what attacker number `place` (from 0) does in an attack of a kind."""
    return _MALFORMED[place % len(_MALFORMED)] if kind is Attack.MALFORMED else kind


def attackers(count: int, of: int, seed: int) -> tuple[int, ...]:
    """Draw which instruments attack, by number, ascending."""
    return tuple(sorted(np.random.default_rng([seed, of]).permutation(of)[:count].tolist()))


def poisoned(
    update: Update, report: AdaptationReport, attack: Attack, rng: np.random.Generator
) -> tuple[Update, AdaptationReport]:
    """Make of an honest update what an attacker sends, and of its report likewise.

    Parameters
    ----------
    update
        Changes of weights by key, float32.
    """
    first = min(update)
    match attack:
        case Attack.SIGN_FLIP:
            update = {key: -array for key, array in update.items()}
        case Attack.SCALE:
            update = {key: np.float32(_FACTOR) * array for key, array in update.items()}
        case Attack.NOISE:
            update = {key: _noise_like(array, rng) for key, array in update.items()}
        case Attack.NAN:
            update = update | {first: np.full_like(update[first], np.nan)}
        case Attack.SHAPE:
            update = update | {first: np.zeros((*update[first].shape, 2), np.float32)}
        case Attack.KEY:
            update = update | {"unheard-of": np.zeros(1, np.float32)}
        case Attack.WEIGHT:
            update = {key: -array for key, array in update.items()}
            report = report.model_copy(update={"examples": _BOAST})
        case Attack.WRONG_TARGETS | Attack.MALFORMED:
            pass
    return update, report


def shuffled(pixels: NDArray[np.generic], rng: np.random.Generator) -> NDArray[np.generic]:
    """Shuffle the pixels of a frame [Y, X]: its grey values are kept, its structure is not."""
    return rng.permutation(pixels.reshape(-1)).reshape(pixels.shape)


def flipped(classes: NDArray[np.integer], count: int) -> NDArray[np.integer]:
    """Let classes 0, 1 ... of `count` change places with the last, the last but one ...; axes [Y, X]."""
    return (count - 1 - classes).astype(classes.dtype)


def _noise_like(array: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    size = float(np.sqrt(np.mean(np.square(array, dtype=np.float64))))
    return np.asarray(size * rng.standard_normal(array.shape), np.float32)
