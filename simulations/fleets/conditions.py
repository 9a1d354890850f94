"""Under which conditions instruments take part: hours, lines, computers, failures; in virtual time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Self

import numpy as np

from simulations.fleets.scenario import FleetScenario
from simulations.fleets.sites import Instrument
from site_client.hours import is_open

_MONDAY = datetime(2024, 1, 1, tzinfo=UTC)
_COURSE_WORD = 0xC0_FFEE
_BITS_PER_MBIT = 1e6


@dataclass(frozen=True, slots=True)
class Course:
    """How one question will fare: how long the instrument is silent, and how long it trains, in s."""

    silent_s: float
    trains_s: float


@dataclass(frozen=True, slots=True)
class Conditions:
    """Those of a whole fleet; everything is decided by the seed, nothing by the order of questions."""

    instruments: Mapping[str, Instrument]
    seed: int
    begins_at: datetime

    @classmethod
    def of(cls, scenario: FleetScenario, instruments: Sequence[Instrument]) -> Self:
        """Take them from a scenario."""
        hours, minutes = (int(part) for part in scenario.begins_at.split(":"))
        begins_at = _MONDAY + timedelta(hours=hours, minutes=minutes)
        return cls({each.id: each for each in instruments}, scenario.seed, begins_at)

    def online(self, now_s: float) -> frozenset[str]:
        """Tell who can be reached, some seconds after the beginning."""
        now = self.begins_at + timedelta(seconds=now_s)
        return frozenset(key for key, each in self.instruments.items() if is_open(each.group.online, now))

    def course(self, instrument_id: str, number: int, attempt: int, steps: int) -> Course:
        """Tell how a question of round `number` will fare, of the instrument's attempts the how-manieth."""
        instrument = self.instruments[instrument_id]
        rng = np.random.default_rng([self.seed, _COURSE_WORD, number, attempt, *instrument_id.encode()])
        drops_out, straggles = rng.random(2) < (instrument.group.drops_out, instrument.group.straggles)
        slower = instrument.group.straggles_by if straggles else 1.0
        silent_s = instrument.group.silent_s if drops_out else 0.0
        return Course(silent_s, steps * instrument.step_s * slower)

    def carries_s(self, instrument_id: str, size_bytes: int) -> float:
        """Seconds that an instrument's line takes for so many bytes."""
        return 8 * size_bytes / (self.instruments[instrument_id].mbit_per_s * _BITS_PER_MBIT)
