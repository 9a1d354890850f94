"""Ranking networks on images of which nothing is known: neither a reference nor labels."""

from benchmark.selection.label_free.assess import assess_all_label_free, assess_label_free, label_free

__all__ = ["assess_all_label_free", "assess_label_free", "label_free"]
