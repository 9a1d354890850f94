"""Choosing, for one instrument, the network to start from."""

from benchmark.selection.fit import InstrumentFit, Pace
from benchmark.selection.race import race
from benchmark.selection.ranking import Ranked, Selection, rank
from benchmark.selection.select import Assess, Contender, fitted, select

__all__ = [
    "Assess",
    "Contender",
    "InstrumentFit",
    "Pace",
    "Ranked",
    "Selection",
    "fitted",
    "race",
    "rank",
    "select",
]
