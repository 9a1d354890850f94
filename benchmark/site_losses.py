"""What a change of methods means at each site: a better mean must not be paid for by one of them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from benchmark.compare import paired_differences
from model_library.wire.base import Message


class SiteDifference(Message):
    """One site's mean paired difference, and what it is at least, in the metric's unit."""

    site: str
    difference: float
    at_least: float
    fields: int


def site_differences(
    a: Mapping[str, float], b: Mapping[str, float], sites: Mapping[str, str], *, level: float = 0.95
) -> tuple[SiteDifference, ...]:
    """Compare two methods at every site, by names.

    A site has few fields of view; so the spread of a field's difference is taken from all sites together
    (within sites, or over all fields where hardly a site has two), or from the site itself where it is larger
    there, so that one odd field cannot hide a loss; the bound is Student's.

    Parameters
    ----------
    a, b
        Score per field of view, higher is better.
    sites
        Field -> site; all fields.
    level
        Confidence of a site's bound, one-sided.

    Raises
    ------
    UnpairedScores
        The two do not hold the same fields.
    """
    paired_differences(a, b)
    by_site: dict[str, list[float]] = {}
    for field in a:
        by_site.setdefault(sites[field], []).append(a[field] - b[field])
    values = {site: np.array(found) for site, found in sorted(by_site.items())}
    freedom = len(a) - len(values)
    if freedom >= 2:
        squares = sum(float(np.square(each - each.mean()).sum()) for each in values.values())
    else:
        everything = np.concatenate(list(values.values()))
        freedom, squares = len(a) - 1, float(np.square(everything - everything.mean()).sum())
    pooled = (squares / freedom) ** 0.5 if freedom > 0 else float("inf")
    quantile = float(stdtrit(max(freedom, 1), level))
    return tuple(
        SiteDifference(
            site=site,
            difference=float(each.mean()),
            at_least=float(each.mean()) - quantile * max(pooled, _own(each)) / len(each) ** 0.5,
            fields=len(each),
        )
        for site, each in values.items()
    )


def _own(values: NDArray[np.float64]) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0
