"""What the suite reports: one row per method, case and metric."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from benchmark.assessment import Row
from benchmark.compare import mean_interval
from benchmark.metrics import Metric
from benchmark.real.seen import Seen
from model_library.wire.base import Message

POOLED = "all"
"""Name of the case that pools all cases of a kind."""


TunedKind = Literal["tuned network", "tuned on own frames"]


class RealRow(Message):
    """One method on one case by one metric.

    Attributes
    ----------
    source
        Of the images.
    kind
        A network as it ships, one tuned on the case's tuning images (of repeated frames, without any truth),
        or a classical algorithm that was.
    value, ci95
        Mean over fields of view and its interval; None where there is no score, or one field.
    best_classical
        The best tuned classical algorithm by the case's first metric.
    difference, difference_ci95
        This method minus that one, paired over fields; None for that one itself.
    saw
        What of the source training saw.
    refused
        Why there is no score.
    """

    task: str
    case: str
    source: str
    method: str
    kind: Literal["network", "classical"] | TunedKind
    metric: Metric
    value: float | None
    ci95: tuple[float, float] | None
    n: int = Field(ge=0)
    best_classical: str | None = None
    difference: float | None = None
    difference_ci95: tuple[float, float] | None = None
    saw: Seen = Seen.NOTHING
    refused: str | None = None

    @property
    def ahead(self) -> bool:
        """Whether the interval of the difference lies wholly on the better side."""
        if self.difference_ci95 is None:
            return False
        low, high = self.difference_ci95
        return low > 0 if self.metric.higher_is_better else high < 0


class CaseResult(Message):
    """What one case gave.

    Attributes
    ----------
    fingerprint
        Of everything that the figures depend on; another one makes the result stale.
    gains
        Method -> difference to the best classical algorithm by the first metric, per field of view.
    skipped
        Why the case was not run.
    """

    case: str
    fingerprint: str
    rows: tuple[RealRow, ...] = ()
    gains: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    seconds: float = 0.0
    skipped: str | None = None


def difference_of(row: Row) -> tuple[float | None, tuple[float, float] | None]:
    """Difference of an assessment's row to the best classical algorithm, and its interval."""
    return (None, None) if row.gain is None else (row.gain.difference, row.gain.ci95)


def pooled(results: Sequence[CaseResult], group: Sequence[str], like: str, seed: int = 0) -> list[RealRow]:
    """Pool the gains of every network over the cases of a group, each field of view counting once.

    Only networks that have a score on two cases or more are given a row; `like` is the row's source.
    """
    chosen = [result for result in results if result.case in group and result.gains]
    methods = sorted({method for result in chosen for method in result.gains})
    rows = []
    for method in methods:
        with_score = [result for result in chosen if method in result.gains]
        if len(with_score) < 2:
            continue
        gains = np.array([gain for result in with_score for gain in result.gains[method]])
        sample = next(row for result in with_score for row in result.rows if row.method == method)
        rows.append(
            sample.model_copy(
                update={
                    "case": f"{POOLED}-{len(with_score)}-of-{len(group)}",
                    "source": like,
                    "value": None,
                    "ci95": None,
                    "n": len(gains),
                    "best_classical": "best of each case",
                    "difference": float(gains.mean()),
                    "difference_ci95": mean_interval(gains, seed=seed),
                }
            )
        )
    return rows
