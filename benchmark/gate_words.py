"""Reasons of the gate, in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.compare import Comparison
from benchmark.metrics import Metric
from benchmark.site_losses import SiteDifference
from benchmark.trust.doubt import CANNOT_TELL, not_relied_on
from benchmark.trust.findings import Check, Finding
from benchmark.verdict import GatePolicy, Judged

_SMALL, _FINER_PLACES = 0.05, 2


def is_ahead(judged: Judged, tie: float) -> bool:
    """Tell whether a candidate is better on average, and by its interval nowhere worse than a tie."""
    return judged.interval[0] > -tie and judged.comparison.difference > 0


@dataclass(frozen=True)
class Words:
    """What is said of one candidate at one look."""

    candidate: str
    policy: GatePolicy
    look: int

    def compared(self, judged: Judged, tie: float = 0.0) -> str:
        """How the candidate did against a rival."""
        low, high = judged.interval
        relation = (
            "is better than" if low > 0 else "is worse than" if high < 0 else "is not shown better than"
        )
        if low <= 0 and tie and is_ahead(judged, tie):
            share = f"{self.policy.tie_share:.0%} of its lead over classical algorithms"
            relation = f"is better on average and at most {share} worse than"
        figures = self._span(judged.comparison.difference, judged.interval)
        return (
            f"{self.candidate} {relation} {judged.rival} ({judged.role}): {figures}"
            f" ({self.policy.level(self.look):.1%} interval, {judged.comparison.fields} fields,"
            f" look {self.look})"
        )

    def mistrust(self, failed: Sequence[Finding]) -> list[str]:
        """Which trust checks fail, with figure and limit."""
        return [
            f"{self.candidate} cannot be trusted, {one.check}: {one.told}, {one.limit} is allowed"
            for one in failed
        ]

    def doubts(self, trust: Sequence[Finding]) -> tuple[str, ...]:
        """Why scores without truth cannot be relied on, where the images' noise is no detector's."""
        if self.policy.metric is not Metric.PSNR_REPEAT:
            return ()
        return tuple(
            not_relied_on(one.told.removeprefix(CANNOT_TELL))
            for one in trust
            if one.check is Check.FORWARD and one.holds is None
        )

    def losses(self, sites: Sequence[SiteDifference], rival: str) -> list[str]:
        """Which sites may lose more than the margin."""
        margin, unit, places = self.policy.margin, self.policy.metric.unit, self.policy.metric.decimals
        return [
            f"{self.candidate} may lose at {each.site} against {rival}: {each.difference:+.{places}f}"
            f" {unit}, at least {each.at_least:+.{places}f} {unit} ({each.fields} fields), where a site"
            f" may lose {margin:g} {unit}".replace("  ", " ")
            for each in sites
            if each.at_least < -margin
        ]

    def figures(self, comparison: Comparison) -> str:
        """Difference and its 95 % interval."""
        return f"{self._span(comparison.difference, comparison.ci95)} (95 % interval)"

    def _span(self, difference: float, interval: tuple[float, float]) -> str:
        places, unit = self.policy.metric.decimals, self.policy.metric.unit
        low, high = interval
        # Small differences are told with their first digits.
        places += _FINER_PLACES if max(map(abs, (difference, low, high))) < _SMALL else 0
        return f"{difference:+.{places}f} {unit} [{low:+.{places}f}, {high:+.{places}f}]".replace("  ", " ")
