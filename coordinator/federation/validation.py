"""Whether a site's update can be believed; nothing that fails here reaches the aggregate."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from coordinator.errors import CoordinatorError
from coordinator.federation.aggregation import blocks
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.plan import FederationPlan
from coordinator.settings.algorithms import FedBuff
from model_library.cards.adaptation import AdaptationPlan, AdaptationReport

_REFUSED_BEYOND = 100.0
"""An update of more than this many times the bound is not clipped but refused."""
_CLIPPED_BEYOND, _UNUSUAL_BEYOND = 3.0, 10.0
"""Times the usual norm from which an update is scaled down, and from which it is refused."""
_FEWEST_NORMS = 3
"""So many updates say what is usual; of fewer, one liar could be half."""
_MOST_FIELDS = 20_000
_LONGEST_FIELD = 500
_LONGEST_CAUSE = 300
_NAMED_KEYS = 3


class UpdateRefused(CoordinatorError):
    """A reply is not an update that can be used; the message is the cause in words."""

    code = "update_refused"

    def __init__(self, cause: str, *, offence: bool = True) -> None:
        """Keep the cause; `offence`: a site that works as it should sends no such thing."""
        super().__init__(cause)
        self.offence = offence


@dataclass(frozen=True, slots=True)
class Accepted:
    """What is believed of an update: `norm` as it came; `shrink` (0 to 1] brings it within the bounds."""

    report: AdaptationReport
    shrink: float
    norm: float

    @property
    def clipped(self) -> bool:
        """Whether the update exceeded the bound."""
        return self.shrink < 1.0


def examine(reply: Reply, weights: Weights, adaptation: AdaptationPlan, plan: FederationPlan) -> Accepted:
    """Examine a reply against what was sent.

    Parameters
    ----------
    reply
        As it came.
    weights
        Those that were sent; the update must have their shapes, in float32.
    adaptation
        The round's plan that was sent with them; says which keys come back.
    plan
        States the bounds.

    Raises
    ------
    UpdateRefused
        An error instead of an update; report unreadable, of another round or beyond belief; other
        keys, shapes or dtypes; NaN or infinity; a norm of more than 100 times the bound.
    """
    if reply.error is not None:
        raise UpdateRefused(f"no update: {one_line(reply.error)}", offence=reply.malformed)
    if reply.update is None or reply.report is None:
        raise UpdateRefused("no update: it answered without one, or without a report")
    report = _report(reply.report, adaptation, plan)
    asked = {key: weights[key] for key in adaptation.sends(weights)}
    _check_form(reply.update, asked)
    _check_finite(reply.update)
    found = norm(reply.update)
    return Accepted(report, _shrink(found, asked, plan.clip_norm), found)


def usual_norm(norms: Sequence[float], before: float | None) -> float | None:
    """Tell what norm updates usually have: their median where there are enough, else what it was before."""
    return median(norms) if len(norms) >= _FEWEST_NORMS else before


def held_to_norms(accepted: Accepted, usual: float | None) -> Accepted:
    """Hold an update against what is usual.

    Raises
    ------
    UpdateRefused
        Its norm is more than ten times the usual one. Beyond three times, it is scaled down to that.
    """
    if not usual or accepted.norm <= _CLIPPED_BEYOND * usual:
        return accepted
    if accepted.norm > _UNUSUAL_BEYOND * usual:
        raise UpdateRefused(
            f"its update has a norm of {accepted.norm:.3g}; expected at most {_UNUSUAL_BEYOND:g} times the "
            f"usual {usual:.3g}"
        )
    return replace(accepted, shrink=min(accepted.shrink, _CLIPPED_BEYOND * usual / accepted.norm))


def refuse_stale(rounds: int, plan: FederationPlan) -> None:
    """Refuse an update that is more rounds old than buffered rounds allow; others are of their round."""
    most = plan.algorithm.most_stale if isinstance(plan.algorithm, FedBuff) else 0
    if rounds > most:
        raise UpdateRefused(f"its update is {rounds} rounds old; expected at most {most}", offence=False)


def norm(weights: Weights) -> float:
    """Euclidean norm over all arrays, in float64."""
    return math.sqrt(sum(_square(array.reshape(-1)) for array in weights.values()))


def one_line(text: str) -> str:
    """Text of a site's on one line: printable and bounded."""
    words = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return words if len(words) <= _LONGEST_CAUSE else f"{words[:_LONGEST_CAUSE]}..."


def _square(flat: NDArray[Any]) -> float:
    return sum(float(np.square(flat[block], dtype=np.float64).sum()) for block in blocks(flat.size))


def _report(text: str, adaptation: AdaptationPlan, plan: FederationPlan) -> AdaptationReport:
    try:
        report = AdaptationReport.model_validate_json(text)
    except ValidationError as failure:
        first = failure.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "the whole"
        raise UpdateRefused("its report does not read: " + one_line(f"{place}: {first['msg']}")) from None
    found, expected = (report.federation_id, report.number), (adaptation.federation_id, adaptation.number)
    if found != expected:
        raise UpdateRefused(
            f"answered for round {report.number} of {one_line(report.federation_id)}; "
            f"expected round {adaptation.number} of {adaptation.federation_id}"
        )
    if report.examples > plan.most_examples:
        raise UpdateRefused(f"states {report.examples} examples; expected at most {plan.most_examples}")
    if not 1 <= len(report.fields) <= _MOST_FIELDS or max(map(len, report.fields)) > _LONGEST_FIELD:
        raise UpdateRefused(
            f"names {len(report.fields)} fields of view; expected 1 to {_MOST_FIELDS} "
            f"of at most {_LONGEST_FIELD} characters"
        )
    return report


def _check_form(update: Weights, weights: Weights) -> None:
    if update.keys() != weights.keys():
        missing, unknown = sorted(weights.keys() - update.keys()), sorted(update.keys() - weights.keys())
        raise UpdateRefused(
            f"its update has other keys: {len(missing)} missing{_some(missing)}, "
            f"{len(unknown)} unknown{_some(unknown)}"
        )
    for key, expected in weights.items():
        found = update[key]
        if found.shape != expected.shape:
            raise UpdateRefused(f"its update has {key} of shape {found.shape}; expected {expected.shape}")
        if found.dtype != np.float32:
            raise UpdateRefused(f"its update has {key} in {found.dtype}; expected float32")


def _check_finite(update: Weights) -> None:
    for key in sorted(update):
        if not np.isfinite(update[key]).all():
            raise UpdateRefused(f"its update has NaN or infinity in {key}")


def _shrink(found: float, weights: Weights, clip_norm: float) -> float:
    # All-zero weights have no scale of their own; the bound is then absolute.
    bound = clip_norm * (norm(weights) or 1.0)
    if found > _REFUSED_BEYOND * bound:
        raise UpdateRefused(f"its update has a norm of {found:.3g}; expected at most {bound:.3g}")
    return bound / found if found > bound else 1.0


def _some(keys: list[str]) -> str:
    return f" ({one_line(', '.join(keys[:_NAMED_KEYS]))})" if keys else ""
