"""Opening a federation: by itself where one is due, or because the operator asks for it."""

from coordinator.errors import CannotFederate, Unknown
from coordinator.federation.cohorts import Cohort, Conditions, cohorts, objection
from coordinator.federation.membership import invited_before, standings, willing
from coordinator.federation.records import Invited, Stage, Start
from coordinator.settings.schedule import minute_of_day
from coordinator.workplace import Workplace


def open_due(place: Workplace) -> str | None:
    """Open a federation for the first cohort for which one is due, and return its id."""
    wanted, now = place.settings.federation, place.clock()
    # Asked often, so what is cheap to know comes first.
    if not wanted.automatic or not wanted.schedule.open_at(minute_of_day(now)):
        return None
    if place.federations.is_under_way():
        return None
    if sum(willing(place, each) for each in place.identities.all()) < wanted.quorum:
        return None
    everyone = standings(place)
    federations = place.federations.all()
    before = invited_before(federations)
    began = {each.cohort: each.created_at for each in federations}
    for cohort in cohorts(everyone):
        overdue = wanted.schedule.overdue(began.get(cohort.id), now)
        conditions = Conditions(wanted.quorum, 0 if overdue else wanted.new_frames)
        if objection(cohort, everyone, before, conditions) is None:
            return _open(place, cohort)
    return None


def open_on_demand(place: Workplace, cohort_id: str | None) -> str:
    """Open a federation now, however few new frames there are, and return its id.

    Raises
    ------
    Unknown
        No such cohort.
    CannotFederate
        Too few members could take part, several cohorts could, or a federation is under way.
    """
    quorum = place.settings.federation.quorum
    found = cohorts(standings(place))
    if cohort_id is not None and cohort_id not in {cohort.id for cohort in found}:
        known = ", ".join(cohort.id for cohort in found) or "none"
        raise Unknown(f"expected one of the cohorts {known}, found {cohort_id}; see `federation status`")
    asked = [cohort for cohort in found if cohort_id in (None, cohort.id)]
    able = [cohort for cohort in asked if len(cohort.ready) >= quorum]
    if len(able) != 1:
        told = "; ".join(map(_readiness, asked)) or "no cohort"
        message = f"expected one cohort with at least {quorum} instruments ready to take part, found {told}"
        raise CannotFederate(f"{message}; name one with --cohort, or wait for campaigns to end")
    opened = _open(place, able[0])
    if opened is None:
        raise CannotFederate("expected no federation under way, found one; wait for its end")
    return opened


def _readiness(cohort: Cohort) -> str:
    obstacles = "".join(f", {each.site} {each.obstacle}" for each in cohort.standings if not each.ready)
    return f"{cohort.id}: {len(cohort.ready)} ready{obstacles}"


def _open(place: Workplace, cohort: Cohort) -> str | None:
    wanted = place.settings.federation
    members = tuple(
        Invited(
            instrument_id=each.instrument_id, site=each.site, network=each.network, acquired=each.acquired
        )
        for each in sorted(cohort.ready, key=lambda each: each.instrument_id)
        if each.network is not None
    )
    start = Start(
        task=cohort.task,
        config=cohort.config,
        pixel_size_nm=cohort.pixel_size_nm,
        members=members,
        quorum=wanted.quorum,
        rounds=wanted.rounds,
        assemble_s=wanted.assemble_s,
        round_s=wanted.round_s,
        personal_steps=wanted.personal_steps,
    )
    return place.federations.open(cohort.id, start.model_dump_json(), Stage.ASSEMBLING, place.clock())
