"""Progress of rounds that another process runs, read from their checkpoints."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from coordinator.federation.checkpoint import CHECKPOINT_FILE
from coordinator.federation.plan import Checkpoint, FederationPlan, RoundRecord, read_message

_LOOK_S = 1.0


@contextmanager
def followed(folder: Path, plan: FederationPlan, say: Callable[[str], None]) -> Iterator[None]:
    """Tell of every round of a federation's folder that is completed while the block lasts."""
    ended = threading.Event()

    def look() -> None:
        told = 0
        while not ended.wait(_LOOK_S):
            checkpoint = read_message(folder / CHECKPOINT_FILE, Checkpoint)
            for record in () if checkpoint is None else checkpoint.rounds[told:]:
                say(in_words(record, plan))
                told = record.number

    thread = threading.Thread(target=look, name="following", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def in_words(record: RoundRecord, plan: FederationPlan, unit: str = "virtual seconds") -> str:
    """Sum a round up in a line."""
    return (
        f"  round {record.number} of {plan.rounds}: {len(record.contributed)} of {len(plan.members)} "
        f"contributed, {record.bytes_up / 1e6:.2f} MB up, {record.seconds:.0f} {unit}"
    )
