"""What has come back in one round, from all attempts at it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from coordinator.federation.accepted_updates import AcceptedUpdates
from coordinator.federation.aggregation import Contribution
from coordinator.federation.fleet import Reply, Weights
from coordinator.federation.plan import FederationPlan, Refusal, RoundRecord
from coordinator.federation.validation import Accepted, UpdateRefused, examine
from model_library.cards.adaptation import AdaptationReport

_log = structlog.get_logger("federation")


@dataclass
class Gathering:
    """The replies of one round: examined as they come, accepted ones kept on disk.

    An instrument whose update was accepted is not asked again, so no update counts twice.
    """

    plan: FederationPlan
    number: int
    weights: Weights
    updates: AcceptedUpdates
    accepted: dict[str, Accepted] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    bytes_up: int = 0
    bytes_down: int = 0

    def recall(self) -> None:
        """Take up what an earlier process, killed in this round, had accepted."""
        members = [member.instrument_id for member in self.plan.members]
        for instrument_id, reply in self.updates.recall(members).items():
            self._examine(instrument_id, reply)

    def take(self, instrument_id: str, reply: Reply) -> None:
        """Examine a reply; keep its update, or note why not."""
        if instrument_id in self.accepted:
            return
        self._examine(instrument_id, reply)
        if instrument_id in self.accepted:
            self.updates.keep(instrument_id, reply)

    def refuse(self, instrument_id: str, cause: str) -> None:
        """Note why an instrument that was asked did not contribute."""
        self.refused[instrument_id] = cause
        _log.warning("not counted", round=self.number, site=self.plan.site(instrument_id), cause=cause)

    @property
    def suffices(self) -> bool:
        """Whether the quorum is reached."""
        return len(self.accepted) >= self.plan.quorum

    def contributions(self) -> dict[str, Contribution]:
        """List what to aggregate, by instrument id."""
        return {
            key: Contribution(value.report.examples, partial(self.updates.load, key), value.shrink)
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
            refused=tuple(
                Refusal(site=self.plan.site(key), cause=self.refused[key]) for key in sorted(self.refused)
            ),
            clipped=self._sites([key for key, accepted in self.accepted.items() if accepted.clipped]),
            seconds=seconds,
            # What a site says of its time is believed as far as it fits into the round.
            train_seconds=min(trained, seconds),
            bytes_up=self.bytes_up,
            bytes_down=self.bytes_down,
            fields={key: tuple(sorted(set(report.fields))) for key, report in reports.items()},
            examples=self._examples(reports),
            attempt=attempt,
        )

    def _examine(self, instrument_id: str, reply: Reply) -> None:
        self.bytes_up += reply.size_bytes
        try:
            accepted = examine(reply, self.weights, self.plan.adaptation(self.number), self.plan)
        except UpdateRefused as refusal:
            self.refuse(instrument_id, str(refusal))
            return
        self.accepted[instrument_id] = accepted
        self.refused.pop(instrument_id, None)
        _log.info("accepted", round=self.number, site=self.plan.site(instrument_id), shrink=accepted.shrink)

    def _examples(self, reports: Mapping[str, AdaptationReport]) -> dict[str, int]:
        # A site may have several instruments in one federation.
        examples = dict.fromkeys(map(self.plan.site, reports), 0)
        for instrument_id, report in reports.items():
            examples[self.plan.site(instrument_id)] += report.examples
        return examples

    def _sites(self, instrument_ids: Sequence[str]) -> tuple[str, ...]:
        return tuple(sorted(self.plan.site(key) for key in instrument_ids))
