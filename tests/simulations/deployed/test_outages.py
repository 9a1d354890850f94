"""When links are cut: as the simulation draws it, and for as long as the scenario says."""

import pytest

from simulations.deployed.outages import Outages
from simulations.fleets.conditions import Conditions
from simulations.fleets.scenario import FleetScenario, FreshNetwork, Instruments
from simulations.fleets.sites import instruments_of

STEPS = 5


def outages(begins_at: str = "12:00", hour_s: float = 60.0, **conditions: object) -> Outages:
    group = Instruments.model_validate(
        {"name": "unit", "count": 2, "specimen": "cells", "dose": 20, **conditions}
    )
    scenario = FleetScenario(
        name="cut",
        told="Links that are cut.",
        begins_at=begins_at,
        network=FreshNetwork(widths=(4, 8)),
        federation={"rounds": 3, "steps": STEPS, "learning_rate": 1e-3},
        instruments=(group,),
    )
    return Outages(Conditions.of(scenario, instruments_of(scenario)), STEPS, hour_s)


def test_a_site_that_drops_out_is_cut_once_it_is_asked_and_for_the_stated_time() -> None:
    found = outages(drops_out=1.0, silent_s=8)
    assert found.cut(0.0) == frozenset()
    found.asked("unit-001", 1, 2.0)
    assert found.cut(2.0) == {"unit-001"}
    assert found.cut(9.9) == {"unit-001"}
    assert found.cut(10.1) == frozenset()
    (told,) = found.ended
    assert (told.site, told.cause, told.number, told.at_s) == ("unit-001", "drops out", 1, 2.0)
    assert told.seconds == pytest.approx(8.1)


def test_silences_are_those_of_the_simulation() -> None:
    found = outages(drops_out=0.5, silent_s=1)
    for number in range(1, 30):
        for attempt in (1, 2):
            for site in ("unit-001", "unit-002"):
                now = 100.0 * number + 10.0 * attempt
                found.asked(site, number, now)
                silent_s = found.conditions.course(site, number, attempt, STEPS).silent_s
                assert (site in found.cut(now)) == (silent_s > 0)
            found.cut(now + 5)


def test_out_of_its_hours_a_site_is_cut() -> None:
    # From noon on an hour passes in a minute: 13:00 to 14:00 are the seconds from 60 to 120.
    found = outages(online=["13:00-14:00"])
    assert found.cut(0.0) == found.cut(59.0) == {"unit-001", "unit-002"}
    assert found.cut(61.0) == found.cut(119.0) == frozenset()
    assert found.cut(121.0) == {"unit-001", "unit-002"}
    assert [(each.cause, each.at_s, each.seconds) for each in found.ended] == [("hours", 0.0, 61.0)] * 2


def test_what_goes_on_at_the_end_is_told_too() -> None:
    found = outages(drops_out=1.0, silent_s=60)
    found.asked("unit-002", 3, 5.0)
    found.cut(5.0)
    found.end(20.0)
    assert [(each.site, each.seconds) for each in found.ended] == [("unit-002", 15.0)]
    assert not found.begun
