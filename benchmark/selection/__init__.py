"""Choosing, for one instrument, the network to start from."""

from benchmark.selection.ranking import Ranked, Selection, rank
from benchmark.selection.select import Contender, select

__all__ = ["Contender", "Ranked", "Selection", "rank", "select"]
