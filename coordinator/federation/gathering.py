"""What has come back in one round, from all attempts at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from coordinator.federation.accepted_updates import AcceptedUpdates
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.joining import Contribution
from coordinator.federation.plan import Evaluation, FederationPlan, Refusal, RoundRecord
from coordinator.federation.validation import (
    Accepted,
    UpdateRefused,
    examine,
    held_to_norms,
    refuse_stale,
    usual_norm,
)
from model_library.cards.adaptation import AdaptationReport

_log = structlog.get_logger("federation")

_ABSENT = "was not online"


@dataclass
class Gathering:
    """The replies of one round: examined as they come, accepted ones kept on disk.

    An instrument whose update was accepted is not asked again, so no update counts twice.

    Attributes
    ----------
    quarantined
        Members that are not asked any more.
    norm_before
        Norm that updates usually had in the rounds before; None where nothing is known.
    """

    plan: FederationPlan
    number: int
    weights: Weights
    updates: AcceptedUpdates
    quarantined: frozenset[str] = frozenset()
    norm_before: float | None = None
    accepted: dict[str, Accepted] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    offenders: set[str] = field(default_factory=set)
    absent: dict[str, str] = field(default_factory=dict)
    bytes_up: int = 0
    bytes_down: int = 0

    def recall(self) -> None:
        """Take up what an earlier process, killed in this round, had accepted."""
        members = [member.instrument_id for member in self.plan.members]
        for instrument_id, (reply, asked_in) in self.updates.recall(members).items():
            self._examine(instrument_id, reply, asked_in)

    def take(self, instrument_id: str, reply: Reply, asked_in: int) -> None:
        """Examine a reply to a message of some round; keep its update, or note why not."""
        if instrument_id in self.accepted:
            return
        self._examine(instrument_id, reply, asked_in)
        if instrument_id in self.accepted:
            self.updates.keep(instrument_id, reply, asked_in)

    def refuse(self, instrument_id: str, cause: str) -> None:
        """Note why an instrument that was asked did not contribute."""
        self.refused[instrument_id] = cause
        _log.warning("not counted", round=self.number, site=self.plan.site(instrument_id), cause=cause)

    def leave_out(self, instrument_id: str, cause: str) -> None:
        """Note why an instrument is not asked in this round."""
        self.absent[instrument_id] = cause

    def join(self, instrument_id: str) -> None:
        """Note that an instrument is asked after all."""
        self.absent.pop(instrument_id, None)

    def compare(self) -> None:
        """Hold the updates against each other: one far larger than is usual is dropped, or scaled down."""
        usual = usual_norm([each.norm for each in self.accepted.values()], self.norm_before)
        for instrument_id, accepted in sorted(self.accepted.items()):
            try:
                self.accepted[instrument_id] = held_to_norms(accepted, usual)
            except UpdateRefused as refusal:
                del self.accepted[instrument_id]
                self.offenders.add(instrument_id)
                self.refuse(instrument_id, str(refusal))

    @property
    def suffices(self) -> bool:
        """Whether there are as many updates as the round needs."""
        return len(self.accepted) >= self.plan.needed

    def contributions(self) -> dict[str, Contribution]:
        """List what to aggregate, by instrument id."""
        return {
            key: Contribution(
                value.report.examples,
                partial(self.updates.load, key),
                value.shrink,
                self.number - value.report.number,
            )
            for key, value in self.accepted.items()
        }

    def record(self, started_at: float, seconds: float, attempt: int) -> RoundRecord:
        """Tell what happened in the round."""
        reports = {key: self.accepted[key].report for key in sorted(self.accepted)}
        trained = max((report.train_s for report in reports.values()), default=0.0)
        return RoundRecord(
            number=self.number,
            started_at=started_at,
            eligible=self._sites([*self.accepted, *self.refused]),
            contributed=self._sites(list(self.accepted)),
            refused=self._told(self.refused),
            absent=self._told(self._absent()),
            offenders=tuple(sorted(self.offenders)),
            clipped=self._sites([key for key, accepted in self.accepted.items() if accepted.clipped]),
            seconds=seconds,
            # What a site says of its time is believed as far as it fits into the round.
            train_seconds=min(trained, seconds),
            bytes_up=self.bytes_up,
            bytes_down=self.bytes_down,
            fields={key: tuple(sorted(set(report.fields))) for key, report in reports.items()},
            examples=self._examples(reports),
            attempt=attempt,
            usual_norm=usual_norm([each.norm for each in self.accepted.values()], self.norm_before),
            evaluation={key: _evaluated(r) for key, r in reports.items() if r.judged_before is not None},
        )

    def _examine(self, instrument_id: str, reply: Reply, asked_in: int) -> None:
        self.bytes_up += reply.size_bytes
        try:
            asked = self.plan.adaptation(asked_in)
            accepted = examine(reply, self.weights, asked, self.plan)
            refuse_stale(self.number - asked_in, self.plan)
        except UpdateRefused as refusal:
            if refusal.offence:
                self.offenders.add(instrument_id)
            self.refuse(instrument_id, str(refusal))
            return
        self.accepted[instrument_id] = accepted
        self.refused.pop(instrument_id, None)
        self.offenders.discard(instrument_id)
        _log.info("accepted", round=self.number, site=self.plan.site(instrument_id), shrink=accepted.shrink)

    def _absent(self) -> dict[str, str]:
        """Tell of every member that was not asked, why."""
        told = self.accepted.keys() | self.refused.keys()
        causes = dict.fromkeys(self.plan.ids, _ABSENT) | self.absent
        causes |= dict.fromkeys(self.quarantined, "is in quarantine")
        return {key: cause for key, cause in causes.items() if key not in told}

    def _told(self, causes: Mapping[str, str]) -> tuple[Refusal, ...]:
        return tuple(Refusal(site=self.plan.site(key), cause=causes[key]) for key in sorted(causes))

    def _examples(self, reports: Mapping[str, AdaptationReport]) -> dict[str, int]:
        # A site may have several instruments in one federation.
        examples = dict.fromkeys(map(self.plan.site, reports), 0)
        for instrument_id, report in reports.items():
            examples[self.plan.site(instrument_id)] += report.examples
        return examples

    def _sites(self, instrument_ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(self.plan.site(key) for key in instrument_ids))


def _evaluated(report: AdaptationReport) -> Evaluation:
    assert report.judged_before is not None
    assert report.judged_after is not None
    return Evaluation(before=report.judged_before, after=report.judged_after, frames=report.judged_frames)
