"""One planted instrument: what the selection decides on a few of its fields, held to the others' truth."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from scipy.stats import spearmanr

from benchmark.cases import Case, Labels, repeat_cases
from benchmark.compare import compare
from benchmark.evaluate import evaluate
from benchmark.look import Look
from benchmark.method import Method
from benchmark.metrics import Metric
from benchmark.planted.domains import SIDE_PX, Domain
from benchmark.planted.records import Decision, DomainRecord, Standing
from benchmark.scores import Scores
from benchmark.selection.label_free import Scene, assess_all_label_free, assess_all_labelled
from benchmark.selection.select import Contender, select
from model_library.degradation.noise import NoiseModel, estimate_noise
from model_library.wire.tasks import Segment, Task

SHOWN, HIDDEN = 3, 13
"""Fields that decisions are made on, one after the other; fields whose truth says what is best."""


@dataclass(frozen=True)
class Trial:
    """What is tried: networks of one task on planted instruments.

    Attributes
    ----------
    contenders
        The library.
    seed
        Draws specimens, noise and intervals.
    side_px
        Side of a field.
    clock
        In seconds; by default the processor time of all threads, which other work does not lengthen.
    """

    task: Task
    contenders: Sequence[Contender]
    seed: int
    side_px: int = SIDE_PX
    clock: Callable[[], float] = time.process_time

    @property
    def methods(self) -> list[Method]:
        """The networks alone."""
        return [contender.method for contender in self.contenders]


def try_domain(trial: Trial, domain: Domain, number: int) -> DomainRecord:
    """Let the selection decide on 1, 2 and 3 fields of an instrument, by every measure it has.

    The noise is measured on the first field alone, so that the first decision knows no more than it may.

    Parameters
    ----------
    number
        Of the domain: with the seed it draws the specimen.
    """
    rng = np.random.default_rng([trial.seed, number])
    fields = labelled_first(domain.fields(SHOWN + HIDDEN, rng, trial.side_px))
    truth = evaluate(trial.methods, fields[SHOWN:])
    means = _means(truth)
    noise = estimate_noise([fields[0].input])
    look = stated_look(fields[0])
    measured = [_measure(trial, field, noise, look) for field in fields[:SHOWN]]
    return DomainRecord(
        domain=domain.name,
        metric=truth.metric,
        look=look,
        standings=tuple(
            Standing(network=key, truth=means[key]) for key in sorted(means, key=lambda key: -means[key])
        ),
        decisions=tuple(
            _decision(trial, [each[metric] for each in measured[:count]], truth)
            for count in range(1, SHOWN + 1)
            for metric in measured[0]
        ),
    )


def labelled_first(fields: Sequence[Case]) -> tuple[Case, ...]:
    """Put the fields first that a person would label: not those that hold hardly any of the structure."""
    shares = [float(each.reference.mask.mean()) for each in fields if isinstance(each.reference, Labels)]
    if not shares:
        return tuple(fields)
    least = 0.5 * float(np.median(shares))
    order = sorted(range(len(fields)), key=lambda number: (shares[number] < least, number))
    return tuple(fields[number] for number in order)


def stated_look(field: Case) -> Look | None:
    """Say what a person who knows the structure sees on a field: one bit of its truth, and nothing else."""
    if not isinstance(field.reference, Labels):
        return None
    mask = field.reference.mask > 0
    return Look.BRIGHT if field.input[mask].mean() > field.input[~mask].mean() else Look.DARK


@dataclass(frozen=True)
class _Timed:
    """Scores on one field, the case that tells what a near-tie is there, and what they took."""

    scores: Scores
    case: Case
    seconds: float


def _measure(trial: Trial, field: Case, noise: NoiseModel, look: Look | None) -> dict[Metric, _Timed]:
    """Score all networks on one field by everything that a campaign could: without reference, and with."""
    start = trial.clock()
    if isinstance(trial.task, Segment):
        found = assess_all_labelled(trial.methods, [field], noise, seed=trial.seed, look=look)
        seconds = trial.clock() - start
        return {metric: _Timed(scores, field, seconds) for metric, scores in found.items()}
    image = (field.field, field.input)
    [named] = repeat_cases([image], noise, np.random.default_rng(trial.seed), trial.side_px)
    free = assess_all_label_free(trial.methods, [Scene(*image)], trial.task, noise, seed=trial.seed)
    between = trial.clock()
    referred = evaluate(trial.methods, [named])
    timed = {metric: _Timed(scores, named, between - start) for metric, scores in free.items()}
    return {**timed, referred.metric: _Timed(referred, named, trial.clock() - between)}


def _decision(trial: Trial, fields: Sequence[_Timed], hidden: Scores) -> Decision:
    truth = _means(hidden)
    scores = _joined([each.scores for each in fields])
    selection = select(
        trial.contenders,
        [each.case for each in fields],
        seed=trial.seed,
        assess=lambda *_: scores,
    )
    best = max(truth, key=lambda key: truth[key])
    ranked = {one.key: one.score for one in selection.ranking if one.key in truth}
    sign = 1 if scores.metric.higher_is_better else -1
    correlation = spearmanr([sign * score for score in ranked.values()], [truth[key] for key in ranked])
    return Decision(
        by=scores.metric,
        images=len(fields),
        winner=selection.winner,
        tied=tuple(one.key for one in selection.ranking if one.tied and one.key != selection.winner),
        best=best,
        regret=truth[best] - truth[selection.winner],
        told_apart=_told_apart(best, selection.winner, hidden, trial.seed),
        spearman=float(correlation.statistic),
        seconds=sum(each.seconds for each in fields),
    )


def _means(truth: Scores) -> dict[str, float]:
    return {key: mean for key in truth.values if (mean := truth.mean(key)) is not None}


def _told_apart(best: str, winner: str, truth: Scores, seed: int) -> bool:
    """Tell whether the hidden fields show the best to be better than the winner, at 95 %."""
    if winner == best:
        return False
    return compare(*truth.paired(best, winner), seed=seed).ci95[0] > 0


def _joined(parts: Sequence[Scores]) -> Scores:
    """Put the scores of single fields together."""
    first = parts[0]
    return first.model_copy(
        update={
            "fields": tuple(chain.from_iterable(part.fields for part in parts)),
            "names": tuple(chain.from_iterable(part.names for part in parts)),
            "values": {
                key: tuple(chain.from_iterable(part.values[key] for part in parts)) for key in first.values
            },
        }
    )
