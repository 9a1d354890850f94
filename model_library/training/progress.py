"""What a training tells while it runs, and when it may end early."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from model_library.training.config import EarlyStopping


class Judgement(NamedTuple):
    """Mean loss of the averaged weights on held-out images after `step` steps."""

    step: int
    loss: float


@dataclass(frozen=True, slots=True)
class FitProgress:
    """One step done: `step` counts from 1; `loss` is the batch's; `validation` where one was due."""

    step: int
    steps: int
    loss: float
    learning_rate: float
    validation: float | None = None


def best_of(judgements: Sequence[Judgement]) -> Judgement | None:
    """Find the judgement with the lowest loss, the earliest of equal ones."""
    return min(judgements, key=lambda one: (one.loss, one.step), default=None)


def is_over(judgements: Sequence[Judgement], rule: EarlyStopping) -> bool:
    """Whether `patience` judgements have come since the best one."""
    best = best_of(judgements)
    return best is not None and len(judgements) - 1 - judgements.index(best) >= rule.patience
