"""When a network leaves a race, and what the race may cost."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RaceRules:
    """When a network stops, and when the race does.

    Attributes
    ----------
    first, step
        Crops before the first look, and between looks.
    errors
        Out: the gap to the leader exceeds so many standard errors of the paired differences.
    tie_errors
        The race ends when all that are left lag by less than a near-tie, with so many standard errors.
    share
        It also ends before it costs more than this share of running every network on every crop, see
        `budget`.
    leaders, early_errors
        For so many of the best it takes more standard errors to leave until every field of view was seen, see
        `waits`.
    """

    first: int = 8
    step: int = 4
    errors: float = 3.0
    tie_errors: float = 2.0
    share: float = 0.15
    leaders: int = 4
    early_errors: float = 6.0

    def budget(self, racers: int, crops: int) -> int:
        """Tell how many runs of a network on a crop a race may cost.

        The first crops are run by all. Where they alone would cost `share` of the whole, which is of
        `first / share` crops then, the whole is cheap: so many the last two may always run.
        """
        cheap = racers * self.first + 2 * (self.first / self.share - self.first)
        return math.floor(max(self.share * racers * crops, cheap) + 1e-9)

    def waits(self, racers: int, fields: Sequence[str]) -> bool:
        """Tell whether the leaders wait for all fields, given that of each crop.

        One field in twenty, of another kind of specimen than the others, can decide which is best. They
        wait where later looks can tell more, as fields have several crops, and the budget allows it.
        """
        count = len(set(fields))
        price = racers * self.first + self.leaders * (count - self.first + self.step)
        return 2 * count <= len(fields) and price <= self.budget(racers, len(fields))
