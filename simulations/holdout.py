"""Which frames the final report may score on: those of fields that nothing was chosen or tuned on."""

from collections.abc import Collection, Sequence

from benchmark.splits import field_key
from simulations.journal import Acquisition


def held_out(frames: Sequence[Acquisition], barred: Collection[str], limit: int) -> tuple[Acquisition, ...]:
    """Choose frames for the final report, as many fields of view as possible.

    Parameters
    ----------
    frames
        All that a microscope acquired.
    barred
        Field keys that the coordinator assigned to tuning or gate. Fields of its report split remain,
        and fields that never left the site.
    limit
        How many frames at most.
    """
    allowed = [frame for frame in frames if field_key(frame.field, "") not in barred]
    visits: dict[str, int] = {}
    ranked = []
    for frame in allowed:
        visits[frame.field] = visits.get(frame.field, 0) + 1
        ranked.append((visits[frame.field], frame.number, frame))
    return tuple(frame for _, _, frame in sorted(ranked, key=lambda each: each[:2])[:limit])
