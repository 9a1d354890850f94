"""Cohorts and federations, as the operator and the final report see them."""

from typing import Any

from coordinator.federation.cohorts import Cohort, cohorts
from coordinator.federation.membership import offences_before, standings
from coordinator.federation.records import Finding, Start
from coordinator.store.values import Federation
from coordinator.telling import gate_told, iso, release_told
from coordinator.workplace import Workplace

_NO_SITTING: dict[str, Any] = {
    "candidate": None,
    "incumbent": None,
    "second": None,
    "classical": {},
    "scores": {},
    "metric": None,
    "comparisons": [],
    "looks": None,
    "level": None,
    "fields": 0,
    "passed": False,
    "assigned": None,
}
"""In place of a verdict where the gate could not sit."""


def cohorts_told(place: Workplace) -> list[dict[str, Any]]:
    """Tell which instruments could learn together now."""
    heartbeats = {each.id: each.heartbeat for each in place.identities.all()}
    agrees = {key for key, each in heartbeats.items() if each is not None and each.federates}
    return [_cohort(cohort, agrees) for cohort in cohorts(standings(place))]


def quarantine_told(place: Workplace) -> list[dict[str, Any]]:
    """Tell which instruments are asked no more, and after how many offences."""
    found, most = offences_before(place), place.settings.federation.quarantine_after
    return [
        {"id": each.id, "site": each.site_name, "offences": found[each.id]}
        for each in place.identities.all()
        if found[each.id] >= most
    ]


def federations_told(place: Workplace) -> list[dict[str, Any]]:
    """Tell what each federation did, oldest first."""
    return [_federation(place, each) for each in place.federations.all()]


def _cohort(cohort: Cohort, agrees: set[str]) -> dict[str, Any]:
    return {
        "id": cohort.id,
        "task": cohort.task.model_dump(mode="json"),
        "architecture": cohort.config.kind,
        "pixel_size_nm": None if cohort.pixel_size_nm is None else list(cohort.pixel_size_nm),
        "instruments": [
            {
                "site": each.site,
                "id": each.instrument_id,
                "federates": each.instrument_id in agrees,
                "pixel_size_nm": each.pixel_size_nm,
                "obstacle": each.obstacle,
            }
            for each in cohort.standings
        ],
    }


def _federation(place: Workplace, federation: Federation) -> dict[str, Any]:
    found, start = federation.findings, Start.model_validate_json(federation.start)
    gates, not_judged = found.get(Finding.GATES, {}), found.get(Finding.NOT_JUDGED, {})
    rounds = found.get(Finding.ROUNDS, [])
    contributed = {site for each in rounds for site in each["contributed"]}
    concerned = {member.site for member in start.members}
    concerned.update(each["site"] for each in (*gates.values(), *not_judged.values()))
    return {
        "id": federation.id,
        "cohort": federation.cohort,
        "task": start.task.model_dump(mode="json"),
        "stage": federation.stage,
        "failure": found.get(Finding.FAILURE),
        "created_at": iso(federation.created_at),
        "ended_at": iso(federation.ended_at),
        "events": [{"at": iso(e.at), "stage": e.stage, "text": e.text} for e in federation.events],
        "start": {
            "members": [member.model_dump(mode="json") for member in start.members],
            "weights_sha256": found.get(Finding.START),
        },
        "rounds": rounds,
        "network": found.get(Finding.NETWORK),
        "gates": [
            *({**_told(each), **gate_told(each), "quality": each.get("quality")} for each in gates.values()),
            *({**_told(each), **_NO_SITTING, "reasons": each["reasons"]} for each in not_judged.values()),
        ],
        "personal_gates": [
            {**_told(each), **gate_told(each)} for each in found.get(Finding.PERSONAL_GATES, {}).values()
        ],
        "personal": found.get(Finding.PERSONAL),
        "matrix": found.get(Finding.MATRIX),
        "releases": [_release(place, each) for each in found.get(Finding.RELEASES, {}).values()],
        "took_no_part": sorted(concerned - contributed),
    }


def _told(record: dict[str, Any]) -> dict[str, Any]:
    return {"site": record["site"], "instrument": record["instrument"]}


def _release(place: Workplace, record: dict[str, Any]) -> dict[str, Any]:
    release = None if record["release_id"] is None else place.releases.get(record["release_id"])
    return record if release is None else {**record, **release_told(release)}
