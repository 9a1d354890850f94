"""Dice of the planted library on many fields of one planted instrument, to replay races on."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmark.networks import as_method
from benchmark.planted.domains import DOMAINS
from benchmark.planted.library import prepare
from benchmark.planted.specialists import SHIPPED, SPECIALISTS
from benchmark.selection.score_table import ScoreTable, table_of

FIELD_PX = 128


def build_dice_table(
    work: Path, *, domain: int, fields: int, seed: int, tell: Callable[[str], None]
) -> ScoreTable:
    """Segment fields of one instrument with all twelve networks; the truth is what was simulated.

    Parameters
    ----------
    work
        Keeps the retrained networks, see `prepare`.
    domain
        Number of the planted instrument, from 0.
    """
    chosen = DOMAINS["segment"][domain]
    networks = prepare(SHIPPED["segment"], SPECIALISTS["segment"], work, tell=tell)
    cases = chosen.fields(fields, np.random.default_rng([seed, domain]), FIELD_PX)
    racers = [(network.card.id, as_method(network)) for network in networks]
    return table_of(f"fields of the planted instrument '{chosen.name}'", racers, cases, tell)
