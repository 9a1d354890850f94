"""What the planted benchmark found, and the bars it is held to; pure values and figures over them."""

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from benchmark.look import Look
from benchmark.metrics import Metric
from model_library.wire.base import Message

NEAR = {"dB": 0.05, "": 0.005}
"""By the metric's unit: a winner this close to the best is as good. In dB this is the near-tie of a race; of
overlaps it is more (`tolerance.NEAR_TIE`)."""

LEAST_BEST, LEAST_SPEARMAN, MOST_SECONDS = 0.8, 0.7, 60.0
MOST_REGRET = {"dB": 0.3, "": 0.01}
"""The bars: share of true bests, median rank correlation, seconds for one decision, median regret."""


class Standing(Message):
    """The hidden truth about one network: mean over fields that no decision saw."""

    network: str
    truth: float


class Decision(Message):
    """One selection on a few fields.

    Attributes
    ----------
    by
        The measure that ranked: with a reference (`dice`, `psnr_repeat`), or without.
    images
        Fields that it was made on.
    winner, best
        What was selected, and the truly best.
    tied
        Networks that the selection itself could not tell from the winner; the cheapest of all won.
    regret
        Hidden truth of the best minus that of the winner, >= 0.
    told_apart
        Whether the hidden truth itself tells the best from the winner: the paired 95 % interval of their
        difference over the hidden fields lies above 0. False where the winner is the best.
    spearman
        Rank correlation of the measure with the hidden truth over all networks; NaN-free.
    seconds
        Processor time to measure all networks, shared by all measures that come of the same runs.
    """

    by: Metric
    images: int = Field(ge=1)
    winner: str
    tied: tuple[str, ...] = ()
    best: str
    regret: float = Field(ge=0)
    told_apart: bool
    spearman: float
    seconds: float


class DomainRecord(Message):
    """One planted instrument: the truth about every network, best first, and all decisions.

    `look` is what whoever asks says of the structure; None for restoration.
    """

    domain: str
    metric: Metric
    look: Look | None = None
    standings: tuple[Standing, ...]
    decisions: tuple[Decision, ...]


class Summary(Message):
    """All decisions by one measure.

    Attributes
    ----------
    best_share, indistinct_share, near_share
        Share of decisions whose winner is the true best; or that, or one that the hidden truth cannot
        tell from it; or that, or within `NEAR` of it.
    median_regret, worst_regret
        In the unit of the truth.
    median_spearman, least_spearman
        Over decisions.
    slowest_s
        Longest time that one decision took.
    """

    by: Metric
    decisions: int
    best_share: float
    indistinct_share: float
    near_share: float
    median_regret: float
    worst_regret: float
    median_spearman: float
    least_spearman: float
    slowest_s: float


class Planted(Message):
    """One task's share of the benchmark.

    Attributes
    ----------
    networks
        Size of the library.
    threads
        Of torch.
    """

    task: str
    networks: int
    threads: int
    seed: int
    side_px: int
    domains: tuple[DomainRecord, ...]
    summaries: tuple[Summary, ...]


class PlantedReport(Message):
    """The whole benchmark, and each bar with whether it is met."""

    tasks: tuple[Planted, ...]
    bars: dict[str, bool]


def summarise(domains: Sequence[DomainRecord]) -> tuple[Summary, ...]:
    """Sum up decisions per measure, in the order in which they were made."""
    by = dict.fromkeys(decision.by for record in domains for decision in record.decisions)
    near = NEAR[domains[0].metric.unit]
    return tuple(
        _summary(metric, [each for record in domains for each in record.decisions if each.by is metric], near)
        for metric in by
    )


def _summary(metric: Metric, decisions: Sequence[Decision], near: float) -> Summary:
    regrets = np.array([each.regret for each in decisions])
    ranks = np.array([each.spearman for each in decisions])
    return Summary(
        by=metric,
        decisions=len(decisions),
        best_share=float(np.mean([each.winner == each.best for each in decisions])),
        indistinct_share=float(np.mean([not each.told_apart for each in decisions])),
        near_share=float(np.mean(regrets <= near)),
        median_regret=float(np.median(regrets)),
        worst_regret=float(regrets.max()),
        median_spearman=float(np.median(ranks)),
        least_spearman=float(ranks.min()),
        slowest_s=max(each.seconds for each in decisions),
    )


def bars_of(planted: Planted, ranks: Sequence[Metric], chooses: Metric) -> dict[str, bool]:
    """Hold one task to the bars.

    The first one also with winners that are as good: by the interval of the truth, or as the race reads it.

    Parameters
    ----------
    ranks
        The measures without reference, each of which is held to the rank correlation.
    chooses
        The measure that would choose the network, which is held to the share of true bests and the regret.
    """
    by = {summary.by: summary for summary in planted.summaries}
    unit = planted.domains[0].metric.unit
    near, regret = (f"{limit[unit]:g} {unit}".strip() for limit in (NEAR, MOST_REGRET))
    share = f">= {LEAST_BEST:.0%} ({chooses})"
    found = {
        f"winner is the true best in {share}": by[chooses].best_share >= LEAST_BEST,
        f"winner is the true best or not told from it by the truth in {share}": by[chooses].indistinct_share
        >= LEAST_BEST,
        f"winner is the true best or within {near} in {share}": by[chooses].near_share >= LEAST_BEST,
        f"median regret <= {regret} ({chooses})": by[chooses].median_regret <= MOST_REGRET[unit],
        **{
            f"median Spearman >= {LEAST_SPEARMAN:g} ({each})": by[each].median_spearman >= LEAST_SPEARMAN
            for each in ranks
        },
        f"a decision takes <= {MOST_SECONDS:g} s of processor time": max(by[each].slowest_s for each in ranks)
        <= MOST_SECONDS,
    }
    return {f"{planted.task}: {words}": met for words, met in found.items()}
