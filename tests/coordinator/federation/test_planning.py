"""From the settings to the plan of a federation; when it begins, who is left out, and how it is stopped."""

import threading
import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from coordinator.errors import CannotFederate, Unknown
from coordinator.federation import rounds
from coordinator.federation.federating import Federating
from coordinator.federation.liveness import alive
from coordinator.federation.membership import standings
from coordinator.federation.memory_fleet import MemoryFleet
from coordinator.federation.opening import open_due, open_on_demand
from coordinator.federation.overview import cohorts_told, federations_told, quarantine_told
from coordinator.federation.performing import PERFORMED, Performer
from coordinator.federation.plan import read_plan
from coordinator.federation.planning import plan_of
from coordinator.federation.records import Finding, Stage, Start
from coordinator.federation.runs import RunState
from coordinator.settings import read_settings
from coordinator.settings.algorithms import FedBN, FedBuff, FedProx
from coordinator.settings.schedule import Schedule, minute_of_day
from coordinator.store.values import Federation, Instrument
from coordinator.workplace import Workplace
from model_library.wire.orders import FrameCounts, Heartbeat

from .microscopes import MemoryEngine, Site, beat, opened, weights_of

GOOD = weights_of(0.0)
NOTHING = {key: np.full_like(array, np.nan) for key, array in GOOD.items()}

pytestmark = pytest.mark.timeout(120)


def with_settings(place: Workplace, **changes: object) -> Workplace:
    federation = place.settings.federation.model_copy(update=changes)
    return replace(place, settings=place.settings.model_copy(update={"federation": federation}))


def start_of(place: Workplace) -> tuple[str, Start]:
    opened_ = open_due(place)
    assert opened_ is not None
    federation = place.federations.get(opened_)
    assert federation is not None
    return opened_, Start.model_validate_json(federation.start)


@dataclass
class Poisoned(MemoryEngine):
    """An engine behind which one site sends NaN."""

    liars: set[str] = field(default_factory=set)

    def _run(self, federation_id: str, number: int) -> None:
        folder = self.settings.federations / federation_id
        plan = read_plan(folder)
        sites = {
            each.instrument_id: Site(NOTHING if each.site in self.liars else self.goal, each.site)
            for each in plan.members
        }
        with alive(folder):
            rounds.run(plan, MemoryFleet(sites), folder)
        self.runs[number] = RunState("finished", "completed", "")


def perform(place: Workplace, engine: MemoryEngine) -> Federation:
    performer, federation_id = Performer(place, engine), open_due(place)
    assert federation_id is not None
    for stage in PERFORMED:
        if performer.perform(federation_id, stage) is not None:
            break
    ended = place.federations.get(federation_id)
    assert ended is not None
    return ended


# Plans


def test_the_settings_become_the_plan(place: Workplace, cohort: dict[str, Instrument]) -> None:
    place = with_settings(
        place, algorithm=FedProx(mu=0.5), encoding="float16", fraction=0.5, layers=("noise.4",)
    )
    plan = plan_of(place, *start_of(place))
    assert (plan.algorithm, plan.encoding, plan.fraction) == (FedProx(mu=0.5), "float16", 0.5)
    asked = plan.adaptation(1)
    assert (asked.proximal, asked.travels) == (0.5, ("noise.4.weight", "noise.4.bias"))
    assert asked.sends(GOOD) == ("noise.4.bias", "noise.4.weight")


def test_with_fedbn_the_head_stays_at_the_sites(place: Workplace, cohort: dict[str, Instrument]) -> None:
    place = with_settings(place, algorithm=FedBN())
    plan = plan_of(place, *start_of(place))
    assert plan.keeps == ("noise.4.weight", "noise.4.bias")
    assert not set(plan.adaptation(1).sends(GOOD)) & set(plan.keeps)


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"layers": ("decoder",)}, "found no array whose name begins with decoder"),
        ({"algorithm": FedBuff(buffer=9)}, "buffer of at most 3 updates, found 9"),
    ],
)
def test_settings_that_do_not_fit_are_a_cause(
    place: Workplace, cohort: dict[str, Instrument], changes: dict[str, object], cause: str
) -> None:
    place = with_settings(place, **changes)
    with pytest.raises(CannotFederate, match=cause):
        plan_of(place, *start_of(place))


def test_a_quorum_too_small_for_the_algorithm_is_refused_when_settings_are_read(tmp_path: Path) -> None:
    (tmp_path / "settings.toml").write_text(
        '[federation]\nquorum = 4\nalgorithm = { kind = "multi_krum", byzantine = 1 }\n'
    )
    with pytest.raises(Exception, match="quorum of at least 5 for multi_krum, found 4"):
        read_settings(tmp_path)


# Quarantine


def test_quarantine_outlives_the_federation_and_the_coordinator_until_it_is_lifted(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    ashby = cohort["ashby"]
    wanted = with_settings(place, quorum=2, quarantine_after=2)
    ended = perform(wanted, Poisoned(wanted.settings, GOOD, liars={"ashby"}))
    assert ended.stage == Stage.DONE, ended.events
    assert all(each["offenders"] == [ashby.id] for each in ended.findings[Finding.ROUNDS])
    with opened(place.settings.data) as restarted:
        wanted = with_settings(restarted, quorum=2, quarantine_after=2, new_frames=1)
        assert quarantine_told(wanted) == [{"id": ashby.id, "site": "ashby", "offences": 2}]
        [told] = [each for each in cohorts_told(wanted)[0]["instruments"] if each["site"] == "ashby"]
        assert told["obstacle"] == "is in quarantine"
        for name in ("ashby", "boreal", "cortex"):
            beat(wanted, cohort[name], acquired=10_000)
        _, start = start_of(wanted)
        assert {each.site for each in start.members} == {"boreal", "cortex"}
        wanted.federations.lift(ashby.id, wanted.clock())
        assert quarantine_told(wanted) == []
        assert [each.ready for each in standings(wanted) if each.site == "ashby"] == [True]


def test_a_site_that_offended_less_often_takes_part_and_its_offences_count(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    wanted = with_settings(place, quorum=2, quarantine_after=3, new_frames=1)
    perform(wanted, Poisoned(wanted.settings, GOOD, liars={"ashby"}))
    for name in ("ashby", "boreal", "cortex"):
        beat(wanted, cohort[name], acquired=10_000)
    plan = plan_of(wanted, *start_of(wanted))
    assert {each.site: each.offences for each in plan.members} == {"ashby": 2, "boreal": 0, "cortex": 0}


# When


def test_a_federation_begins_by_itself_only_in_its_window(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    now = minute_of_day(place.clock())
    first, last = ((now + shift) % 1440 for shift in (120, 240))
    window = f"{first // 60:02d}:{first % 60:02d}-{last // 60:02d}:{last % 60:02d}"
    assert open_due(with_settings(place, schedule=Schedule(window=window))) is None
    assert open_due(with_settings(place, schedule=Schedule())) is not None


def test_after_so_many_hours_few_new_frames_suffice(place: Workplace, cohort: dict[str, Instrument]) -> None:
    perform(place, MemoryEngine(place.settings, GOOD))
    hourly = Schedule(every_hours=1)
    assert open_due(with_settings(place, schedule=hourly)) is None
    later = replace(with_settings(place, schedule=hourly), clock=lambda: place.clock() + 3700)
    for name in ("ashby", "boreal", "cortex"):
        beat(later, cohort[name])
    assert open_due(later) is not None


def test_a_busy_instrument_is_left_alone_where_that_is_wanted(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    ashby = cohort["ashby"]
    frames = FrameCounts(acquired=60, reconstructed=50, waiting=10, set_aside=0, returned=0)
    place.identities.heard(ashby.id, Heartbeat(frames=frames, federates=True), place.clock())
    assert open_due(with_settings(place, idle_only=True)) is None
    with pytest.raises(CannotFederate, match=r"2 ready, .*ashby is busy with its own frames"):
        open_on_demand(with_settings(place, idle_only=True), None)
    assert open_due(place) is not None


@pytest.mark.parametrize(
    ("state", "idle_only", "told"),
    [
        ({"acquiring": True}, True, "acquires just now"),
        ({"acquiring": True}, False, None),
        ({"paused": True}, True, "is paused at the site"),
        ({"paused": True}, False, "is paused at the site"),
    ],
)
def test_what_a_site_tells_of_itself_keeps_it_out_and_status_says_why(
    place: Workplace, cohort: dict[str, Instrument], state: dict[str, bool], idle_only: bool, told: str | None
) -> None:
    frames = FrameCounts(acquired=60, reconstructed=60, waiting=0, set_aside=0, returned=0)
    heartbeat = Heartbeat(frames=frames, federates=True, **state)
    place.identities.heard(cohort["ashby"].id, heartbeat, place.clock())
    wanted = with_settings(place, idle_only=idle_only)
    (members,) = [each["instruments"] for each in cohorts_told(wanted)]
    assert {each["site"]: each["obstacle"] for each in members}["ashby"] == told
    assert (open_due(wanted) is None) == (told is not None)


# Stopping


def test_a_stopped_federation_ends_and_releases_nothing(
    place: Workplace, cohort: dict[str, Instrument]
) -> None:
    engine = MemoryEngine(place.settings, GOOD, seconds=30.0)
    performer, federation_id = Performer(place, engine), open_due(place)
    assert performer.perform(federation_id, Stage.ASSEMBLING) is None
    failures: list[str | None] = []
    working = threading.Thread(target=lambda: failures.append(performer.perform(federation_id, Stage.ROUNDS)))
    working.start()
    deadline = time.monotonic() + 30
    while not engine.runs:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    place.federations.find_out(federation_id, Finding.STOPPED, place.clock())
    working.join(30)
    assert failures == ["stopped by the operator; nothing of it is released"]
    assert engine.finished == 1
    [told] = federations_told(place)
    assert (told["stage"], told["releases"]) == ("failed", [])
    assert not place.federations.is_under_way()


def test_only_a_federation_under_way_can_be_stopped(place: Workplace, cohort: dict[str, Instrument]) -> None:
    federating = object.__new__(Federating)
    federating._place = place
    with pytest.raises(Unknown, match="found none called federation-0009"):
        federating.stop("federation-0009")
    ended = perform(place, MemoryEngine(place.settings, GOOD))
    with pytest.raises(CannotFederate, match="expected federation-0001 under way, found it at done"):
        federating.stop(ended.id)
