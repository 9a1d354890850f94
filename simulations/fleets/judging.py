"""Scores of networks on held-out frames, against the truth that no site has seen."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from torch import nn

from benchmark.compare import Comparison, compare, mean_interval
from benchmark.metrics.overlap import dice_per_class
from benchmark.metrics.pointwise import psnr
from coordinator.federation.checkpoint import read_weights
from coordinator.federation.plan import START_FILE, FederationFileError, FederationPlan
from model_library.wire.base import Message
from model_library.wire.tasks import Segment
from simulations.errors import SimulationError
from simulations.fleets.learning import (
    Weights,
    alone,
    material_of,
    module_of,
    personalised,
    pooled,
    restored,
    segmented,
    with_own,
)
from simulations.fleets.scenario import Comparison as Asked
from simulations.fleets.sites import SiteFiles, read_known

ACQUIRED, START, FEDERATED = "acquired", "start", "federated"
PERSONALISED, DELIVERED, LOCAL_ONLY, POOLED = "personalised", "delivered", "local_only", "pooled"

FrameScores = Mapping[str, tuple[float, ...]]
"""Score of each held-out frame, by site: PSNR in dB, or Dice in points (hundredths)."""


class UnusableNetwork(SimulationError):
    """A network gives no images that could be scored."""


class SiteQuality(Message):
    """Mean score over a site's held-out frames and its 95 % interval over frames, in the outcome's unit."""

    mean: float
    ci95: tuple[float, float]
    frames: int


class Judged(Message):
    """Frame scores by what was compared, what the gate delivered, and the steps of pooled training."""

    scores: dict[str, dict[str, tuple[float, ...]]]
    delivered: dict[str, str] = Field(default_factory=dict)
    pooled_steps: int | None = None


def quality(scores: FrameScores) -> dict[str, SiteQuality]:
    """Sum frame scores up, by site."""
    return {
        site: SiteQuality(
            mean=float(np.mean(values)),
            ci95=mean_interval(np.asarray(values, np.float64)),
            frames=len(values),
        )
        for site, values in scores.items()
    }


def mean_score(scores: FrameScores) -> float:
    """Mean over all frames of all sites."""
    return float(np.mean([value for each in scores.values() for value in each]))


def difference(a: FrameScores, b: FrameScores, sites: Sequence[str]) -> Comparison:
    """Compare two networks over the frames of some sites, paired."""

    def flat(scores: FrameScores) -> dict[str, float]:
        return {f"{site}/{n}": value for site in sites for n, value in enumerate(scores[site])}

    return compare(flat(a), flat(b))


def score(weights: Mapping[str, Weights], plan: FederationPlan, sites: Sequence[SiteFiles]) -> FrameScores:
    """Score at each site the network that it would use, given by site."""
    return {site.id: _scores(weights[site.id], plan, site.held_out) for site in sites}


def score_file(file: Path, plan: FederationPlan, sites: Sequence[SiteFiles]) -> FrameScores:
    """Score one network at all sites.

    Raises
    ------
    UnusableNetwork
        Its weights, or the images that it makes, are not finite.
    """
    try:
        weights = read_weights(file)
    except FederationFileError as failure:
        raise UnusableNetwork("the network that came of it is not finite") from failure
    found = score(dict.fromkeys((site.id for site in sites), weights), plan, sites)
    if not all(np.isfinite(values).all() for values in found.values()):
        raise UnusableNetwork("the network that came of it gives no finite images")
    return found


def judge(plan: FederationPlan, folder: Path, final: str, sites: Sequence[SiteFiles], asked: Asked) -> Judged:
    """Train whatever the federated network is to be held against, and score it all.

    Parameters
    ----------
    folder
        Of the run: the weights it began with, what sites kept, and `final`, the network that it led to.
    """
    start, end = read_weights(folder / START_FILE), read_weights(folder / final)
    everywhere = [site.id for site in sites]
    own = {site.id: with_own(end, plan, folder, site.id) for site in sites}
    scores = {} if isinstance(plan.task, Segment) else {ACQUIRED: _acquired(sites)}
    scores |= {
        START: score(dict.fromkeys(everywhere, start), plan, sites),
        FEDERATED: score(own, plan, sites),
    }
    materials = {site.id: material_of(site) for site in sites} if asked.against else {}
    delivered: dict[str, str] = {}
    if PERSONALISED in asked.against:
        tuned = {
            key: personalised(each, own[key], plan, asked.personalised_steps)
            for key, each in materials.items()
        }
        scores[PERSONALISED] = score(tuned, plan, sites)
        delivered = chosen({FEDERATED: own, PERSONALISED: tuned}, plan, sites)
        if delivered:
            scores[DELIVERED] = {site: scores[name][site] for site, name in delivered.items()}
    if LOCAL_ONLY in asked.against:
        scores[LOCAL_ONLY] = score({k: alone(m, start, plan) for k, m in materials.items()}, plan, sites)
    if POOLED not in asked.against:
        return Judged(scores=_plain(scores), delivered=delivered)
    steps = asked.pooled_steps or plan.rounds * plan.steps * len(sites)
    together = pooled(list(materials.values()), start, plan, steps)
    scores[POOLED] = score(dict.fromkeys(everywhere, together), plan, sites)
    return Judged(scores=_plain(scores), delivered=delivered, pooled_steps=steps)


def chosen(
    networks: Mapping[str, Mapping[str, Weights]], plan: FederationPlan, sites: Sequence[SiteFiles]
) -> dict[str, str]:
    """Choose for each site the network that does best on its gate's frames; nothing where it has none.

    Parameters
    ----------
    networks
        By name, then by site; of equals the first is chosen.
    """
    found: dict[str, str] = {}
    for site in sites:
        means = {
            name: float(np.mean(scores))
            for name, each in networks.items()
            if (scores := _scores(each[site.id], plan, site.gate))
        }
        if means:
            found[site.id] = max(means, key=means.__getitem__)
    return found


def _plain(scores: Mapping[str, FrameScores]) -> dict[str, dict[str, tuple[float, ...]]]:
    return {name: dict(each) for name, each in scores.items()}


def _acquired(sites: Sequence[SiteFiles]) -> FrameScores:
    return {s.id: tuple(_psnr(frame, truth) for frame, truth in read_known(s.held_out)) for s in sites}


def _scores(weights: Weights, plan: FederationPlan, archive: Path) -> tuple[float, ...]:
    module = module_of(weights, plan)
    return tuple(_scored(module, frame, truth, plan) for frame, truth in read_known(archive))


def _scored(
    module: nn.Module, frame: NDArray[np.float32], truth: NDArray[Any], plan: FederationPlan
) -> float:
    if not isinstance(plan.task, Segment):
        return _psnr(restored(module, frame), truth)
    # How much of the background was found tells little: there is so much of it.
    per_class = dice_per_class(segmented(module, frame), truth, len(plan.task.classes))
    return 100 * float(np.mean(per_class[1:]))


def _psnr(image: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    return psnr(image, truth, float(truth.max() - truth.min()))
