"""What replaced what: a federated network the site's own, an improvement what was there before the drift."""

from collections.abc import Sequence
from datetime import datetime

from model_library.wire.base import Message
from model_library.wire.methods import MethodRef, NetworkRef
from simulations.held_cases import HeldCases
from simulations.kept_networks import methods
from simulations.overview import CampaignSeen, FederationSeen, Overview, ReleaseSeen, in_order
from simulations.truth_scores import PairScores, score_pair


class Shared(Message):
    """A federated network (`after`) at one site, held against what was released there before."""

    federation: str
    assigned: bool
    reasons: tuple[str, ...]
    before: MethodRef
    after: MethodRef
    scores: PairScores | None


class Improved(Message):
    """What an improvement campaign replaced; scored on frames acquired after the change."""

    campaign: int
    trigger: str
    before: MethodRef
    after: MethodRef
    reasons: tuple[str, ...]
    scores: PairScores | None

    @property
    def replaced(self) -> bool:
        """Whether another method is in service since."""
        return self.after != self.before


def shared_with(overview: Overview, held: HeldCases) -> Shared | None:
    """Hold the network of the latest federation that reached a site against the site's own."""
    site = held.site.name
    reached = [each for each in overview.federations if each.network and each.gate(site) is not None]
    if not reached:
        return None
    federation = reached[-1]
    gate, own = federation.gate(site), _before(overview.releases_of(site), _began(federation))
    if gate is None or own is None or federation.network is None:
        return None
    network = NetworkRef.model_validate(federation.network)
    return Shared(
        federation=federation.id,
        assigned=any(each.instrument == held.seen.campaigns[0].instrument for each in federation.releases),
        reasons=tuple(gate.get("reasons", ())),
        before=own.method,
        after=network,
        scores=_pair(held, own.method, network, changed=False),
    )


def improvements_of(overview: Overview, held: HeldCases) -> tuple[Improved, ...]:
    """Hold what each improvement campaign put in service against what was there before."""
    found = []
    for campaign in held.seen.campaigns[1:]:
        before = _before(overview.releases_of(held.site.name), _began(campaign))
        if before is None or not campaign.gates:
            continue
        published = in_order(campaign.releases)
        after = published[-1].method if published else before.method
        reasons = tuple(str(reason) for gate in campaign.gates for reason in gate["reasons"])
        found.append(
            Improved(
                campaign=campaign.number,
                trigger=campaign.trigger,
                before=before.method,
                after=after,
                reasons=reasons,
                scores=_pair(held, before.method, after, changed=True),
            )
        )
    return tuple(found)


def _began(told: CampaignSeen | FederationSeen) -> datetime | None:
    return min((event.at for event in told.events), default=None)


def _before(releases: Sequence[ReleaseSeen], at: datetime | None) -> ReleaseSeen | None:
    """Find what was released last before a moment; an unknown moment is before everything."""
    earlier = [each for each in releases if at is not None and each.published_at and each.published_at < at]
    return earlier[-1] if earlier else None


def _pair(held: HeldCases, before: MethodRef, after: MethodRef, *, changed: bool) -> PairScores | None:
    cases = held.cases((before, after), changed=changed)
    if not cases:
        return None
    method_of = methods(held.workspace, held.site)
    return score_pair(
        cases, before=method_of(before), after=method_of(after), task=held.site.task, seed=held.seed
    )
