"""One scenario under several seeds: other specimens, noise, patches and failures; what holds for them all."""

from collections.abc import Sequence

import numpy as np

from benchmark.compare import Comparison, compare, mean_interval
from model_library.wire.base import Message
from simulations.fleets.judging import DELIVERED, FEDERATED, LOCAL_ONLY, PERSONALISED, POOLED
from simulations.fleets.outcome import FleetOutcome, Unit

OURS = (FEDERATED, PERSONALISED, DELIVERED)
"""What comes of a federation."""


class OverSeeds(Message):
    """Mean of a figure over seeds, and its 95 % interval."""

    mean: float
    ci95: tuple[float, float]


class SeedsOutcome(Message):
    """What simulations of one scenario found, by seed, and what they have in common.

    Intervals are over seeds, of each of which the mean over held-out frames counts once. `mean` is by
    network; `of_pooled` its ratio to pooled training; `against_local` its difference from the site alone,
    paired by seed, by network and site.
    """

    scenario: str
    told: str
    unit: Unit
    seeds: tuple[int, ...]
    state: str
    cause: str | None
    mean: dict[str, OverSeeds]
    of_pooled: dict[str, OverSeeds]
    against_local: dict[str, dict[str, Comparison]]
    runs: tuple[FleetOutcome, ...]


def over_seeds(runs: Sequence[FleetOutcome]) -> SeedsOutcome:
    """Sum runs of one scenario up, two or more that differ in their seed alone."""
    first, failed = runs[0], next((run for run in runs if run.state != "completed"), None)
    judged = failed is None
    arms = list(first.mean) if judged else []
    return SeedsOutcome(
        scenario=first.scenario,
        told=first.told,
        unit=first.unit,
        seeds=tuple(run.seed for run in runs),
        state="completed" if failed is None else failed.state,
        cause=None if failed is None else f"seed {failed.seed}: {failed.cause}",
        mean={arm: _over([run.mean[arm] for run in runs]) for arm in arms},
        of_pooled={
            arm: _over([run.mean[arm] / run.mean[POOLED] for run in runs])
            for arm in OURS
            if arm in arms and POOLED in arms
        },
        against_local={arm: _against_local(runs, arm) for arm in OURS if {arm, LOCAL_ONLY} <= set(arms)},
        runs=tuple(runs),
    )


def _against_local(runs: Sequence[FleetOutcome], arm: str) -> dict[str, Comparison]:
    def means(name: str, site: str) -> dict[str, float]:
        return {str(run.seed): run.quality[name][site].mean for run in runs}

    return {site: compare(means(arm, site), means(LOCAL_ONLY, site)) for site in runs[0].quality[arm]}


def _over(values: Sequence[float]) -> OverSeeds:
    return OverSeeds(mean=float(np.mean(values)), ci95=mean_interval(np.asarray(values, np.float64)))
