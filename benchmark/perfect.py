"""What the truth itself would score against a repeat of an acquisition: the most that any method can."""

from collections.abc import Sequence

import numpy as np

from benchmark.cases import Case, Reference, Repeat
from benchmark.metrics.pointwise import ratio_db


def perfect_repeat_db(reference: Reference) -> float | None:
    """PSNR of the unknown truth against a repeat: the span of the grey values over the noise, in dB.

    Another specimen or another brightness moves the score of every method by as much as it moves this one.

    Returns
    -------
    None where the reference is no repeat, or shows no noise.
    """
    if not isinstance(reference, Repeat):
        return None
    variance = float(np.mean(np.square(reference.pair.noise, dtype=np.float64)))
    return ratio_db(variance, reference.data_range) if variance > 0 else None


def perfect_by_field(cases: Sequence[Case]) -> dict[str, float]:
    """Mean over the cases of each field of view; empty where one of them has none."""
    found: dict[str, list[float]] = {}
    for case in cases:
        perfect = perfect_repeat_db(case.reference)
        if perfect is None:
            return {}
        found.setdefault(case.field, []).append(perfect)
    return {field: float(np.mean(values)) for field, values in found.items()}
