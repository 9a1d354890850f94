"""Who sent what cannot be used, how often, and who is therefore asked no more."""

from collections import Counter
from collections.abc import Iterable, Mapping

from coordinator.federation.plan import FederationPlan, RoundRecord


def offences(records: Iterable[RoundRecord], since: Mapping[str, float] | None = None) -> Counter[str]:
    """Count the rounds in which each instrument sent an update that cannot be used.

    Parameters
    ----------
    records
        Of any federations.
    since
        Instrument -> Unix time from which rounds count; from the first on where it is not named.
    """
    known = since or {}
    return Counter(
        instrument_id
        for record in records
        for instrument_id in record.offenders
        if record.started_at >= known.get(instrument_id, 0.0)
    )


def quarantined(plan: FederationPlan, records: Iterable[RoundRecord]) -> frozenset[str]:
    """Name the members that offended too often, before this federation and in it."""
    found = offences(records)
    return frozenset(
        member.instrument_id
        for member in plan.members
        if member.offences + found[member.instrument_id] >= plan.quarantine_after
    )
