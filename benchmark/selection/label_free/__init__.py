"""Ranking networks on images of which nothing is known: neither a reference nor labels."""

from benchmark.selection.label_free.assess import assess_all_label_free, assess_label_free, label_free
from benchmark.selection.label_free.racing import race_on_itself

__all__ = ["assess_all_label_free", "assess_label_free", "label_free", "race_on_itself"]
