"""`coordinator status`: what each instrument does and what its channel holds, whoever put it there."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from coordinator import publishing
from coordinator.overview import overview_of
from coordinator.records import Finding, Stage
from coordinator.status_lines import cohort_line, quarantine_line, round_line, status_lines
from coordinator.store.values import Event, Instrument, Opening, ReleasePurpose, Trigger
from coordinator.workplace import Workplace
from model_library.wire.methods import ClassicalRef

from .places import NOW, enrolled, measured, workplace


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    with workplace(tmp_path) as place:
        yield place


@pytest.fixture
def instrument(place: Workplace) -> Instrument:
    return enrolled(place)


def release(place: Workplace, instrument: Instrument, method: str, origin: str, purpose: str) -> str:
    ref = ClassicalRef(id=method, parameters={"sigma_px": 1.0})
    return publishing.release_assigned(place, instrument, ref, ["better"], origin, ReleasePurpose(purpose)).id


def line(place: Workplace) -> str:
    [first, *noticed] = status_lines(overview_of(place))
    assert all(each.startswith("scope: three returned images would show ") for each in noticed)
    return first


def test_nobody_is_there_at_first(place: Workplace):
    assert "enrol-token" in line(place)


def test_an_instrument_without_a_release_has_nothing_yet(place: Workplace, instrument: Instrument):
    assert line(place) == f"scope ({instrument.id}): no campaign yet; nothing released yet"
    place.campaigns.open(Opening(instrument.id), Stage.WAITING, NOW)
    assert "): campaign 1: waiting for first images; nothing released yet" in line(place)


def test_what_a_federation_released_is_told_as_such(place: Workplace, instrument: Instrument):
    campaign_id = measured(place, instrument)
    place.campaigns.find_out(campaign_id, Finding.FINAL, {"method": {"id": "gaussian", "version": "1"}})
    release_id = release(place, instrument, "gaussian", campaign_id, "final")
    assert line(place).endswith(f"released, not installed yet: gaussian 1, final release of {campaign_id}")
    place.releases.installed(release_id, NOW)
    assert line(place).endswith(f"monitoring; in service gaussian 1, final release of {campaign_id}")
    place.releases.installed(release(place, instrument, "median", "federation-1", "federated"), NOW)
    assert line(place).endswith("monitoring; in service median 1, federated release of federation-1")
    [told] = overview_of(place)["instruments"]
    assert (told["release"]["release_id"], told["release"]["origin"]) == (told["release_id"], "federation-1")


def test_an_instrument_under_improvement_keeps_its_line_and_what_it_has(
    place: Workplace, instrument: Instrument
):
    release(place, instrument, "gaussian", measured(place, instrument), "final")
    place.campaigns.open(Opening(instrument.id, 2, Trigger.DRIFT, 30), Stage.NOISE, NOW + 1)
    assert "campaign 2, after a drift: measuring noise; released" in line(place)
    assert "gaussian 1" in line(place)


def test_a_failure_is_told_with_its_reason(place: Workplace, instrument: Instrument):
    campaign_id = measured(place, instrument)
    failure = {"stage": Stage.SELECTING, "reason": "no network"}
    place.campaigns.find_out(campaign_id, Finding.FAILURE, failure)
    place.campaigns.enter(campaign_id, Stage.FAILED)
    assert "campaign 1: failed at selecting a network: no network; nothing" in line(place)


def test_missing_labels_are_told_with_the_command(place: Workplace, instrument: Instrument):
    campaign_id = place.campaigns.open(Opening(instrument.id), Stage.LABELLING, NOW)
    place.campaigns.note(campaign_id, "labels", Event(NOW, Stage.LABELLING, "3 of 14; import"))
    assert "campaign 1: waiting for labels, 3 of 14; import; nothing" in line(place)


def test_a_revoked_instrument_is_told_as_such(place: Workplace, instrument: Instrument):
    place.identities.revoke(instrument.id, NOW)
    assert line(place).startswith(f"scope ({instrument.id}, revoked): ")


def test_each_federation_has_a_line(place: Workplace, instrument: Instrument):
    federation = {
        "id": "federation-1",
        "cohort": "denoise",
        "stage": "rounds",
        "rounds": [{}],
        "failure": None,
    }
    lost = {"stage": "rounds", "reason": "quorum not reached"}
    failed = {**federation, "id": "federation-2", "stage": "failed", "failure": lost}
    told = {**overview_of(place), "federations": [federation, failed]}
    assert status_lines(told)[1:] == [
        "federation-1 of denoise: rounds; 1 rounds",
        "federation-2 of denoise: failed; quorum not reached",
    ]


RECORD = {
    "number": 2,
    "contributed": ["ashby", "boreal"],
    "refused": [{"site": "cortex", "cause": "no reply within 600 s"}],
    "absent": [{"site": "delta", "cause": "was not online"}],
    "evaluation": {"a-1": {"before": 0.2, "after": 0.1}, "b-2": {"before": 0.4, "after": 0.3}},
    "bytes_up": 2_500_000,
}


def test_a_round_tells_who_contributed_and_why_each_other_did_not():
    assert round_line(RECORD, 4) == (
        "round 2: 2 of 4 contributed, loss on spared frames 0.3 before and 0.2 after, 2.50 MB up; "
        "cortex: no reply within 600 s; delta: was not online"
    )
    assert round_line({**RECORD, "evaluation": {}, "refused": [], "absent": []}, 2) == (
        "round 2: 2 of 2 contributed, 2.50 MB up"
    )


def test_a_cohort_tells_what_keeps_a_site_from_taking_part():
    sites = [{"site": "ashby", "obstacle": None}, {"site": "boreal", "obstacle": "is in quarantine"}]
    assert cohort_line({"id": "c", "instruments": sites}) == "c: ashby, boreal (is in quarantine)"


def test_a_quarantine_tells_how_it_ends():
    held = {"id": "a-1", "site": "ashby", "offences": 3}
    assert "`federation lift-quarantine a-1` ends it" in quarantine_line(held)
