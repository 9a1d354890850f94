"""Which accepted frames go back to the coordinator: every N-th, exactly."""

from collections.abc import Sequence

from pydantic import Field

from model_library.wire.base import Message


class Sampling(Message):
    """From accepted frame `from_sequence` on, every `every_n`-th frame is returned."""

    from_sequence: int = Field(ge=1)
    every_n: int = Field(ge=1)


def due(sequence: int, schedule: Sequence[Sampling]) -> bool:
    """Whether the frame of this sequence is to be returned.

    Parameters
    ----------
    sequence
        Counts accepted frames from 1.
    schedule
        In ascending order of `from_sequence`; the last that has begun is in force.
    """
    in_force = [sampling for sampling in schedule if sampling.from_sequence <= sequence]
    return bool(in_force) and sequence % in_force[-1].every_n == 0


def amended(schedule: Sequence[Sampling], every_n: int, next_sequence: int) -> tuple[Sampling, ...]:
    """Amend the schedule by an order: the first holds from frame 1, a later one from now on."""
    if not schedule:
        return (Sampling(from_sequence=1, every_n=every_n),)
    if schedule[-1].every_n == every_n:
        return tuple(schedule)
    kept = tuple(sampling for sampling in schedule if sampling.from_sequence < next_sequence)
    return (*kept, Sampling(from_sequence=next_sequence, every_n=every_n))
