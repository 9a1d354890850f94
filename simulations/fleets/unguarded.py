"""Averaging that believes everybody, as Flower's own FedAvg does: what attacks do where nobody looks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, MetricRecord, RecordDict
from flwr.serverapp.exception import InconsistentMessageReplies
from flwr.serverapp.strategy.strategy_utils import (
    aggregate_arrayrecords,
    validate_message_reply_consistency,
)
from numpy.typing import NDArray

from coordinator.federation.asking import POLL_S
from coordinator.federation.checkpoint import encode_weights, read_start, weights_file
from coordinator.federation.clock import Clock
from coordinator.federation.fleet import Fleet, Reply, Weights
from coordinator.federation.plan import FederationOutcome, FederationPlan, write_outcome
from model_library.cards.adaptation import AdaptationReport

_EXAMPLES = "num-examples"


def run_unguarded(plan: FederationPlan, fleet: Fleet, folder: Path, clock: Clock) -> FederationOutcome:
    """Run the rounds of a plan with Flower's checks and Flower's arithmetic, and no others.

    Returns
    -------
    FederationOutcome
        As written to the folder; failed where Flower would have given up.
    """
    weights: Weights = read_start(folder)
    for number in range(1, plan.rounds + 1):
        replies = _replies(plan, number, weights, fleet, clock)
        try:
            if not replies:
                raise ValueError("no site could train on the network that it was sent")
            weights = _joined(weights, replies)
        except (InconsistentMessageReplies, ValueError) as failure:
            outcome = FederationOutcome(state="failed", cause=f"round {number}: {failure}")
            write_outcome(folder, outcome)
            return outcome
    final = weights_file(plan.rounds)
    (folder / final).write_bytes(encode_weights(weights))
    outcome = FederationOutcome(state="completed", weights=final)
    write_outcome(folder, outcome)
    return outcome


def _replies(plan: FederationPlan, number: int, weights: Weights, fleet: Fleet, clock: Clock) -> list[Reply]:
    until = clock.monotonic() + plan.round_s
    waiting = fleet.send(plan.adaptation(number), weights, sorted(fleet.online()), plan.round_s)
    found: list[Reply] = []
    while waiting and clock.monotonic() < until:
        clock.sleep(POLL_S)
        for reply in fleet.replies(tuple(waiting)):
            waiting.pop(reply.message_id)
            found.append(reply)
    return [reply for reply in found if reply.update is not None and reply.report is not None]


def _joined(weights: Weights, replies: list[Reply]) -> Weights:
    records = [_record(weights, reply) for reply in replies]
    validate_message_reply_consistency(records, _EXAMPLES, check_arrayrecord=True)
    joined = aggregate_arrayrecords(records, _EXAMPLES)
    return {key: np.asarray(joined[key].numpy(), np.float32) for key in weights}


def _record(weights: Weights, reply: Reply) -> RecordDict:
    update: Mapping[str, NDArray[Any]] = reply.update or {}
    examples = AdaptationReport.model_validate_json(reply.report or "").examples
    # A client of Flower's sends weights, not changes; what has no counterpart is sent as it is.
    arrays = {
        key: Array(weights[key] + change if _fits(weights.get(key), change) else change)
        for key, change in update.items()
    }
    metrics = MetricRecord({_EXAMPLES: float(examples)})
    return RecordDict({"arrays": ArrayRecord(arrays), "metrics": metrics})


def _fits(weights: NDArray[Any] | None, change: NDArray[Any]) -> bool:
    return weights is not None and weights.shape == change.shape
