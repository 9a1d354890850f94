"""When links are cut: what a scenario says of silence and of hours, in the seconds of this machine."""

from collections import Counter
from dataclasses import dataclass, field

from simulations.fleets.conditions import Conditions
from simulations.fleets.outcome import Outage

_HOUR_S = 3600.0


@dataclass(slots=True)
class Outages:
    """Decides which links are cut now; whoever asks tells the seconds since the federation began.

    Parameters
    ----------
    conditions
        Those of the scenario; silences are the ones that its simulation draws too.
    steps
        Of a round.
    hour_s
        Seconds of this machine in which an hour of the fleet's day passes.
    """

    conditions: Conditions
    steps: int
    hour_s: float
    begun: dict[str, Outage] = field(default_factory=dict)
    ended: list[Outage] = field(default_factory=list)
    _asked: Counter[tuple[str, int]] = field(default_factory=Counter)
    _silent: dict[str, Outage] = field(default_factory=dict)

    def asked(self, site: str, number: int, now_s: float) -> None:
        """Take note that a site was asked in a round; it may fall silent now."""
        self._asked[site, number] += 1
        course = self.conditions.course(site, number, self._asked[site, number], self.steps)
        if course.silent_s > 0:
            silence = Outage(site=site, cause="drops out", number=number, at_s=now_s, seconds=course.silent_s)
            self._silent[site] = silence

    def cut(self, now_s: float) -> frozenset[str]:
        """Tell which links are cut now, and keep account of it."""
        wanted = {key: each for key, each in self._silent.items() if now_s < each.at_s + each.seconds}
        online = self.conditions.online(now_s * _HOUR_S / self.hour_s)
        for site in self.conditions.instruments.keys() - online:
            away = Outage(site=site, cause="hours", number=None, at_s=now_s, seconds=0.0)
            wanted.setdefault(site, away)
        for site in self.begun.keys() - wanted.keys():
            self._end(site, now_s)
        for site, outage in wanted.items():
            self.begun.setdefault(site, outage)
        return frozenset(wanted)

    def end(self, now_s: float) -> None:
        """Keep account of all that goes on, as ended now."""
        for site in tuple(self.begun):
            self._end(site, now_s)

    def _end(self, site: str, now_s: float) -> None:
        over = self.begun.pop(site)
        self.ended.append(over.model_copy(update={"seconds": round(now_s - over.at_s, 2)}))
