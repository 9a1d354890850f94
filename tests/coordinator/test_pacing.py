"""Whoever falls behind gets a campaign that looks for a faster method, and not one after the other."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coordinator import pacing
from coordinator.findings import latest_campaign
from coordinator.publishing import release_assigned
from coordinator.records import Finding, Stage
from coordinator.requests import requests_of
from coordinator.store.values import Instrument, ReleasePurpose, Trigger
from coordinator.workplace import Workplace
from model_library.wire.compute import ComputeFacts, FamilyThroughput
from model_library.wire.methods import ClassicalRef, NetworkRef
from model_library.wire.orders import FrameCounts, Heartbeat
from model_library.zoo.registry import Library

from .places import NOW, enrolled, measured, workplace

COUNTS = FrameCounts(acquired=120, reconstructed=60, waiting=60, set_aside=0, returned=20)


@pytest.fixture
def place(tmp_path: Path, library: Path) -> Iterator[Workplace]:
    with workplace(tmp_path, library=library) as place:
        yield place


def calibrated(library: Path, mpix_per_s: float) -> ComputeFacts:
    """What a site measured whose computer does so much with the smallest network of the library."""
    smallest = Library(library).card("tiny-4")
    measured = FamilyThroughput(
        family=smallest.config.kind, flops_per_pixel=smallest.facts.flops_per_pixel, mpix_per_s=mpix_per_s
    )
    return ComputeFacts(threads=1, memory_bytes=1 << 30, engine="torch", families=(measured,))


@pytest.fixture
def instrument(place: Workplace) -> Instrument:
    instrument = enrolled(place)
    measured(place, instrument)
    release(place, instrument, "nlm")
    return instrument


def release(place: Workplace, instrument: Instrument, method: str) -> str:
    origin = f"campaign-of-{method}"
    found = release_assigned(
        place, instrument, ClassicalRef(id=method), ("won",), origin, ReleasePurpose.FINAL
    )
    return found.id


def complaint(place: Workplace, instrument: Instrument, **changes: object) -> Heartbeat:
    current = place.releases.current(instrument.id)
    assert current is not None
    assert place.library is not None
    told = Heartbeat(
        frames=COUNTS,
        release_id=current.id,
        method=current.manifest.method,
        throughput_mpix_per_s=0.8,
        acquisition_mpix_per_s=2.5,
        wants_faster=True,
        compute=calibrated(place.library, 3.0),
    )
    return told.model_copy(update=changes)


def at(place: Workplace, seconds: float) -> Workplace:
    return replace(place, clock=lambda: NOW + seconds)


def test_it_opens_the_next_campaign_from_the_next_frame_on_and_says_why(
    place: Workplace, instrument: Instrument
) -> None:
    assert pacing.answer(place, instrument, complaint(place, instrument)) == f"campaign-{instrument.id}-2"
    campaign = latest_campaign(place, instrument.id)
    assert (campaign.trigger, campaign.from_sequence) == (Trigger.PACE, 121)
    assert [event.text for event in campaign.events] == [
        f"it falls behind: 2.5 against 0.8 MPix/s with {instrument.id}-0001"
    ]
    assert campaign.findings[Finding.PACE]["throughput_mpix_per_s"] == 0.8
    assert requests_of(place, instrument)[-1].from_sequence == 121


@pytest.mark.parametrize(
    "changes",
    [
        {"wants_faster": False},
        {"release_id": None},
        {"release_id": "another-release"},
        {"throughput_mpix_per_s": None},
        {"acquisition_mpix_per_s": None},
    ],
)
def test_whoever_keeps_up_or_serves_something_else_gets_none(
    place: Workplace, instrument: Instrument, changes: dict[str, object]
) -> None:
    assert pacing.answer(place, instrument, complaint(place, instrument, **changes)) is None


def test_where_no_network_is_known_to_keep_up_a_campaign_would_find_none(
    place: Workplace, instrument: Instrument, library: Path
) -> None:
    for compute in (None, calibrated(library, 2.4)):
        assert pacing.answer(place, instrument, complaint(place, instrument, compute=compute)) is None
    smallest = Library(library).card("tiny-4")
    served = NetworkRef(id=smallest.id, version=smallest.version, weights_sha256=smallest.weights_sha256)
    assert pacing.answer(place, instrument, complaint(place, instrument, method=served)) is None


def test_while_a_campaign_is_under_way_none_is_opened_beside_it(
    place: Workplace, instrument: Instrument
) -> None:
    place.campaigns.enter(latest_campaign(place, instrument.id).id, Stage.FINE_TUNING)
    assert pacing.answer(place, instrument, complaint(place, instrument)) is None
    place.campaigns.enter(latest_campaign(place, instrument.id).id, Stage.MONITORING)
    assert pacing.answer(place, instrument, complaint(place, instrument)) is not None
    assert pacing.answer(place, instrument, complaint(place, instrument)) is None


def test_where_the_gate_kept_the_release_it_is_not_asked_again(
    place: Workplace, instrument: Instrument
) -> None:
    opened = pacing.answer(place, instrument, complaint(place, instrument))
    assert opened is not None
    place.campaigns.enter(opened, Stage.MONITORING)
    assert pacing.answer(at(place, 10 * 86_400), instrument, complaint(place, instrument)) is None


def test_a_campaign_that_failed_is_repeated_after_a_day_and_not_before(
    place: Workplace, instrument: Instrument
) -> None:
    opened = pacing.answer(place, instrument, complaint(place, instrument))
    assert opened is not None
    place.campaigns.enter(opened, Stage.FAILED)
    assert pacing.answer(at(place, 86_399), instrument, complaint(place, instrument)) is None
    assert pacing.answer(at(place, 86_400), instrument, complaint(place, instrument)) is not None


def test_another_release_may_be_complained_about_at_once(place: Workplace, instrument: Instrument) -> None:
    opened = pacing.answer(place, instrument, complaint(place, instrument))
    assert opened is not None
    place.campaigns.enter(opened, Stage.MONITORING)
    release(place, instrument, "tv")
    assert pacing.answer(place, instrument, complaint(place, instrument)) == f"campaign-{instrument.id}-3"
