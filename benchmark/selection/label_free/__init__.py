"""Ranking networks on images of which little is known: no reference, and labels of one image or none."""

from benchmark.selection.label_free.assess import (
    assess_all_label_free,
    assess_all_labelled,
    assess_label_free,
    label_free,
)
from benchmark.selection.label_free.racing import race_on_itself, race_on_labels
from benchmark.selection.label_free.segmenting import Scene

__all__ = [
    "Scene",
    "assess_all_label_free",
    "assess_all_labelled",
    "assess_label_free",
    "label_free",
    "race_on_itself",
    "race_on_labels",
]
