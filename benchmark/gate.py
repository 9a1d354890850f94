"""The gate before every release: a pure verdict from scores per field of view."""

from collections.abc import Mapping, Sequence

from benchmark.compare import Comparison, compare, mean_interval, paired_differences
from benchmark.errors import BenchmarkError
from benchmark.gate_words import Words, is_ahead
from benchmark.site_losses import SiteDifference, site_differences
from benchmark.trust.findings import failed
from benchmark.verdict import Entrant, GatePolicy, Judged, Role, Verdict

__all__ = ["Entrant", "GatePolicy", "Judged", "Role", "Verdict", "judge"]


def judge(
    candidate: Entrant,
    rivals: Sequence[Entrant],
    *,
    look: int = 1,
    policy: GatePolicy | None = None,
    sites: Mapping[str, str] | None = None,
) -> Verdict:
    """Decide whether a candidate is released, and which method the instrument uses.

    The candidate passes if, on the gate's fields, its interval against the method in service and
    against the best classical algorithm lies above 0 at the level that this look asks for, and the
    second network is not better than it. Where the policy allows ties, the candidate need only be better
    on average than a network in service, with the interval above minus that tie. No site may lose more than
    the policy's margin against what is in service (else against the best classical algorithm), and no
    trust check may fail. Where these cannot be made since the images' noise is no detector's, the reasons
    say that scores without truth are not to be relied on. If the candidate does not pass, the method in
    service stays, unless a classical algorithm is as good as it (at 95 %) by scores that can be relied on: a
    tie goes to the cheaper one.
    With nothing else to keep, the second network is assigned if it beats the best classical algorithm, else
    the latter.

    Parameters
    ----------
    candidate
        The network that asks for release.
    rivals
        At least one classical algorithm; at most one in service; any second networks.
    look
        How many times this instrument's gate images have been looked at, this time included.
    sites
        Field of view -> site; None where all are of one.

    Raises
    ------
    BenchmarkError
        Without a classical rival, with two methods in service or two methods of one name, or with a field
        that is of no site.
    """
    policy = policy or GatePolicy()
    hearing = _Hearing(candidate, rivals, look, policy)
    hearing.place(sites or {})
    objections = hearing.objections()
    if objections:
        return hearing.undecided(objections)
    return hearing.decided()


class _Hearing:
    """One sitting of the gate: the entrants, the level, and the steps of the verdict."""

    def __init__(self, candidate: Entrant, rivals: Sequence[Entrant], look: int, policy: GatePolicy) -> None:
        keys = [candidate.key, *(rival.key for rival in rivals)]
        in_service = [rival for rival in rivals if rival.role is Role.IN_SERVICE]
        if look < 1 or len(set(keys)) < len(keys) or len(in_service) > 1:
            raise BenchmarkError(
                "expected look 1 or later, methods of different names and at most one in service,"
                f" found look {look}, {', '.join(keys)} and {len(in_service)} in service"
            )
        if not any(rival.is_classical for rival in rivals):
            raise BenchmarkError("expected at least one classical rival, found none; tune one first")
        if not policy.metric.higher_is_better:
            raise BenchmarkError(f"expected a metric where more is better, found {policy.metric}")
        self.candidate, self.rivals, self.look, self.policy = candidate, tuple(rivals), look, policy
        self.in_service = in_service[0] if in_service else None
        self.level = policy.level(look)
        self._words = Words(candidate.key, policy, look)
        self.fields = sorted({field for entrant in (candidate, *rivals) for field in entrant.scores})
        self.sites: dict[str, str] = {}

    def place(self, sites: Mapping[str, str]) -> None:
        """Say which site a field belongs to; a single site needs no verdict of its own."""
        homeless = [field for field in self.fields if sites and field not in sites]
        if homeless:
            raise BenchmarkError(
                f"expected a site for every field of view, found none for {', '.join(homeless[:3])}"
            )
        self.sites = dict(sites) if len(set(sites.values())) > 1 else {}

    def objections(self) -> tuple[str, ...]:
        """Reasons why no comparison can be trusted."""
        found = []
        for entrant in (self.candidate, *self.rivals):
            missing = [field for field in self.fields if entrant.scores.get(field) is None]
            if missing:
                found.append(
                    f"{entrant.key} ({entrant.role}) has no finite score on {len(missing)} of"
                    f" {len(self.fields)} fields ({', '.join(missing[:3])}): a missing score blocks"
                )
        if len(self.fields) < self.policy.minimum_fields:
            found.append(
                f"only {len(self.fields)} fields of view to judge on,"
                f" at least {self.policy.minimum_fields} are needed"
            )
        return tuple(found)

    def undecided(self, objections: tuple[str, ...]) -> Verdict:
        """Keep what is there, or fall back on a classical algorithm that did give scores."""
        keep = self.in_service if self.in_service and self._whole(self.in_service) else None
        keep = keep or self._best([r for r in self.rivals if r.is_classical and self._whole(r)])
        keep = keep or self.in_service or next(r for r in self.rivals if r.is_classical)
        why = "stays in service" if keep is self.in_service else "is assigned, being the safe choice"
        return self._verdict(keep, (*objections, f"{keep.key} {why}"), (), None)

    def decided(self) -> Verdict:
        """Compare with every rival and name the method to use."""
        judged = tuple(self._against(rival) for rival in self.rivals)
        best_classical = self._best([rival for rival in self.rivals if rival.is_classical])
        assert best_classical is not None
        sites = self._sites(self.in_service or best_classical)
        failures = self._words.mistrust(failed(self.candidate.trust))
        successes: list[str] = []
        for rival, one in zip(self.rivals, judged, strict=True):
            if rival.role is Role.SECOND:
                (failures if one.interval[1] < 0 else successes).append(self._words.compared(one))
            elif rival is best_classical or rival.role is Role.IN_SERVICE:
                tie = self._tie(rival, best_classical)
                ahead = is_ahead(one, tie)
                (successes if ahead else failures).append(self._words.compared(one, tie))
        failures += self._words.losses(sites, (self.in_service or best_classical).key)
        if not failures:
            return self._verdict(self.candidate, tuple(successes), judged, best_classical, sites)
        candidate_ahead = judged[self.rivals.index(best_classical)].interval[0] > 0
        keep, why = self._fallback(best_classical, candidate_ahead)
        return self._verdict(keep, (*failures, why, *successes), judged, best_classical, sites)

    def _sites(self, rival: Entrant) -> tuple[SiteDifference, ...]:
        if not self.sites:
            return ()
        return site_differences(self.candidate.finite, rival.finite, self.sites, level=self.level)

    def _fallback(self, best_classical: Entrant, candidate_ahead: bool) -> tuple[Entrant, str]:
        """Name what to use when the candidate is refused.

        Never a network that a classical algorithm matches, except that one in service is not given
        up for a classical algorithm that the candidate has been shown to beat, nor on scores that are not
        to be relied on.
        """
        if self.in_service is not None and self._words.doubts(self.candidate.trust):
            return self.in_service, f"{self.in_service.key} stays in service, since the scores are in doubt"
        second = self._best(
            [rival for rival in self.rivals if rival.role is Role.SECOND and not failed(rival.trust)]
        )
        for entrant in (self.in_service, second):
            if entrant is None:
                continue
            if entrant.is_classical:
                if entrant is best_classical or self._gain(best_classical, entrant).ci95[0] <= 0:
                    return entrant, f"{entrant.key} stays in service"
                continue
            gain = self._gain(entrant, best_classical)
            spared = entrant is self.in_service and candidate_ahead and gain.ci95[1] >= 0
            if gain.ci95[0] > 0 or spared:
                stays = "stays in service" if entrant is self.in_service else "is assigned"
                return (
                    entrant,
                    f"{entrant.key} {stays}: {self._words.figures(gain)} over {best_classical.key}",
                )
        return best_classical, f"{best_classical.key} is assigned: no network is better, and it costs less"

    def _against(self, rival: Entrant) -> Judged:
        a, b = self.candidate.finite, rival.finite
        interval = mean_interval(paired_differences(a, b), seed=self.policy.seed, level=self.level)
        comparison = compare(a, b, seed=self.policy.seed)
        return Judged(rival=rival.key, role=rival.role, comparison=comparison, interval=interval)

    def _gain(self, a: Entrant, b: Entrant) -> Comparison:
        return compare(a.finite, b.finite, seed=self.policy.seed)

    def _tie(self, rival: Entrant, best_classical: Entrant) -> float:
        """How far below a network in service still counts as equal to it, in the metric's unit."""
        if rival.role is not Role.IN_SERVICE or rival.is_classical:
            return 0.0
        return self.policy.tie_share * max(0.0, _mean(rival.finite) - _mean(best_classical.finite))

    def _whole(self, entrant: Entrant) -> bool:
        return bool(self.fields) and len(entrant.finite) == len(self.fields)

    @staticmethod
    def _best(entrants: Sequence[Entrant]) -> Entrant | None:
        return max(entrants, key=lambda one: _mean(one.finite), default=None)

    def _verdict(
        self,
        assigned: Entrant,
        reasons: tuple[str, ...],
        judged: tuple[Judged, ...],
        best_classical: Entrant | None,
        sites: tuple[SiteDifference, ...] = (),
    ) -> Verdict:
        return Verdict(
            passed=assigned is self.candidate,
            assigned=assigned.key,
            reasons=(*reasons, *self._words.doubts(self.candidate.trust)),
            candidate=self.candidate.key,
            best_classical=best_classical.key if best_classical else None,
            comparisons=judged,
            fields=len(self.fields),
            look=self.look,
            level=self.level,
            metric=self.policy.metric,
            sites=sites,
            trust=self.candidate.trust,
        )


def _mean(scores: Mapping[str, float]) -> float:
    return sum(scores.values()) / len(scores)
