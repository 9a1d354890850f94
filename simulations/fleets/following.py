"""Progress of rounds that another process runs, read from their checkpoints."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from coordinator.federation.checkpoint import CHECKPOINT_FILE
from coordinator.federation.plan import Checkpoint, FederationPlan, RoundRecord, read_message
from simulations.periodic import periodically

_LOOK_S = 1.0


def followed(folder: Path, plan: FederationPlan, say: Callable[[str], None]) -> AbstractContextManager[None]:
    """Tell of every round of a federation's folder that is completed while the block lasts."""
    told = 0

    def look() -> None:
        nonlocal told
        checkpoint = read_message(folder / CHECKPOINT_FILE, Checkpoint)
        for record in () if checkpoint is None else checkpoint.rounds[told:]:
            say(in_words(record, plan))
            told = record.number

    return periodically(look, _LOOK_S)


def in_words(record: RoundRecord, plan: FederationPlan, unit: str = "virtual seconds") -> str:
    """Sum a round up in a line."""
    return (
        f"  round {record.number} of {plan.rounds}: {len(record.contributed)} of {len(plan.members)} "
        f"contributed, {record.bytes_up / 1e6:.2f} MB up, {record.seconds:.0f} {unit}"
    )
