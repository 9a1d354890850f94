"""How far the racers lag behind the leader on the crops so far, and how exactly that is known."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_FEWEST_FREE = 7
"""Degrees of freedom that a spread within fields needs: as many as eight crops of eight fields have."""


class Lag(NamedTuple):
    """Of each racer behind the one of the highest mean.

    Attributes
    ----------
    leader
        Its place among the racers.
    gaps, errors
        Of the mean over all crops, and standard error, infinite after one crop; float64 [racer].
    """

    leader: int
    gaps: NDArray[np.float64]
    errors: NDArray[np.float64]


def lag(table: NDArray[np.float64], fields: Sequence[str]) -> Lag:
    """Estimate what the gaps over all crops will be.

    What a race estimates is the outcome on all of its crops, of which these are drawn without replacement
    (Cochran, Sampling Techniques, 1977, section 2.6). Once every field of view was seen, and some of them
    twice, the spread between fields, which is mostly far larger than that within them, is no longer in the
    error: the fields are the strata of a stratified sample (chapter 5), with one spread within all of them.

    Parameters
    ----------
    table
        Scores [racer, crop] so far, the higher the better.
    fields
        Of every crop, those that are still to come included.
    """
    count, crops = table.shape[1], len(fields)
    _, of_crop = np.unique(np.array(fields), return_inverse=True)
    have, seen = np.bincount(of_crop), np.bincount(of_crop[:count], minlength=of_crop.max() + 1)
    free = count - len(have)
    if (seen > 0).all() and free >= _FEWEST_FREE:
        shares = have / crops
        means = table @ np.eye(len(have))[of_crop[:count]] / seen
        leader = int(np.argmax(means @ shares))
        behind = means[leader] - means
        within = table[leader] - table - behind[:, of_crop[:count]]
        unseen = float((shares**2 * (1 - seen / have) / seen).sum())
        return Lag(leader, behind @ shares, np.sqrt(np.square(within).sum(axis=1) / free * unseen))
    leader = int(np.argmax(table.mean(axis=1)))
    differences = table[leader] - table
    gaps = differences.mean(axis=1)
    if count == 1:
        return Lag(leader, gaps, np.full(len(gaps), np.inf))
    return Lag(leader, gaps, differences.std(axis=1, ddof=1) * np.sqrt((1 - count / crops) / count))
