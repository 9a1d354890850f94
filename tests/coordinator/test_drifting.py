"""A drift that returned images show opens the instrument's next campaign, once."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.metrics import Metric
from benchmark.scores import Scores
from coordinator import drifting
from coordinator.findings import latest_campaign, measured_campaign
from coordinator.overview import overview_of
from coordinator.publishing import release_assigned
from coordinator.records import Finding, Stage
from coordinator.requests import requests_of
from coordinator.score_series import reference_of
from coordinator.settings import DriftSettings
from coordinator.status_lines import status_lines
from coordinator.store.values import Instrument, MonitoringScore, Opening, Release, ReleasePurpose, Trigger
from coordinator.workplace import Workplace
from model_library.wire.images import ImagePurpose
from model_library.wire.methods import ClassicalRef
from model_library.wire.orders import ImageRequest

from .conftest import declaration
from .places import NOW, enrolled, measured, received, showing, workplace


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Workplace]:
    with workplace(tmp_path) as place:
        yield place


@pytest.fixture
def instrument(place: Workplace) -> Instrument:
    return enrolled(place)


def drifts_of(place: Workplace, instrument: Instrument) -> list[dict[str, Any]]:
    """Every drift that opened a campaign, oldest first."""
    campaigns = [place.campaigns.get(each) for each in place.campaigns.of(instrument.id)]
    return [told for each in campaigns if (told := drifting.drift_told(each)) is not None]


def returned(place: Workplace, instrument: Instrument, noise: dict[int, float]) -> None:
    for sequence, level in noise.items():
        place.observations.keep(received(place, instrument.id, sequence), showing(level))


def test_a_drift_opens_the_next_campaign_from_its_onset_on(place: Workplace, instrument: Instrument):
    measured(place, instrument)
    returned(place, instrument, {30: 1.0, 35: 1.0, 40: 1.5, 45: 1.5})
    assert drifting.answer(place, instrument.id) == f"campaign-{instrument.id}-2"
    assert place.campaigns.openings(instrument.id)[-1] == Opening(instrument.id, 2, Trigger.DRIFT, 40)
    [drift] = drifts_of(place, instrument)
    assert (drift["feature"], drift["onset_sequence"], drift["detected_sequence"]) == ("noise", 40, 45)
    assert drift["after"] == pytest.approx(1.5, rel=0.01)
    [event] = latest_campaign(place, instrument.id).events
    assert "drift: noise" in event.text


def test_while_a_campaign_is_under_way_none_is_opened_beside_it(place: Workplace, instrument: Instrument):
    campaign_id = measured(place, instrument)
    returned(place, instrument, {30: 1.5, 35: 1.5, 40: 1.5})
    place.campaigns.enter(campaign_id, Stage.FINE_TUNING)
    assert drifting.answer(place, instrument.id) is None
    place.campaigns.enter(campaign_id, Stage.MONITORING)
    assert drifting.answer(place, instrument.id) is not None
    assert drifting.answer(place, instrument.id) is None


def test_the_order_in_which_images_arrive_plays_no_part(place: Workplace, instrument: Instrument):
    measured(place, instrument)
    returned(place, instrument, {45: 1.5, 30: 1.0, 40: 1.5, 35: 1.0})
    drifting.answer(place, instrument.id)
    assert latest_campaign(place, instrument.id).from_sequence == 40


def test_after_an_improvement_images_are_held_against_what_it_measured(
    place: Workplace, instrument: Instrument
):
    measured(place, instrument)
    measured(place, instrument, number=2, from_sequence=40)
    returned(place, instrument, dict.fromkeys(range(70, 120, 5), 1.0))
    assert drifting.answer(place, instrument.id) is None
    assert measured_campaign(place, instrument.id, 39).number == 1  # type: ignore[union-attr]
    assert measured_campaign(place, instrument.id, 40).number == 2  # type: ignore[union-attr]


def test_a_failed_improvement_is_tried_again_on_later_images_only(place: Workplace, instrument: Instrument):
    measured(place, instrument)
    returned(place, instrument, {30: 1.5, 35: 1.5})
    campaign_id = drifting.answer(place, instrument.id)
    assert campaign_id is not None
    for sequence in range(30, 58):
        received(place, instrument.id, sequence, ImagePurpose.FIRST)
    place.campaigns.enter(campaign_id, Stage.FAILED)
    assert drifting.answer(place, instrument.id) is None
    returned(place, instrument, {60: 1.5, 65: 1.5})
    assert drifting.answer(place, instrument.id) == f"campaign-{instrument.id}-3"


def test_a_darker_image_at_a_fixed_gain_is_a_drift(place: Workplace, instrument: Instrument):
    measured(place, instrument)
    for sequence in (30, 35, 40):
        image = received(place, instrument.id, sequence)
        place.observations.keep(image, showing(brightness=40.0))
    drifting.answer(place, instrument.id)
    [drift] = drifts_of(place, instrument)
    assert drift["feature"] == "brightness"
    assert drift["before"] == pytest.approx(100)
    assert drift["after"] == pytest.approx(40)


def test_an_instrument_that_was_never_measured_shows_no_drift(place: Workplace, instrument: Instrument):
    place.campaigns.open(Opening(instrument.id), Stage.FAILED, NOW)
    returned(place, instrument, {5: 3.0, 10: 3.0, 15: 3.0})
    assert drifting.answer(place, instrument.id) is None


def test_drift_can_be_switched_off(tmp_path: Path):
    with workplace(tmp_path, drift=DriftSettings(automatic=False)) as place:
        instrument = enrolled(place)
        measured(place, instrument)
        returned(place, instrument, {30: 1.5, 35: 1.5, 40: 1.5})
        assert drifting.answer(place, instrument.id) is None
        assert len(place.campaigns.of(instrument.id)) == 1


def test_a_drift_that_nothing_answers_is_noted_once_and_shown(tmp_path: Path):
    with workplace(tmp_path, drift=DriftSettings(automatic=False)) as place:
        instrument = enrolled(place)
        measured(place, instrument)
        returned(place, instrument, {30: 1.0, 35: 1.5, 40: 1.5})
        drifting.answer(place, instrument.id)
        returned(place, instrument, {45: 1.5})
        drifting.answer(place, instrument.id)
        [event] = latest_campaign(place, instrument.id).events
        assert "automatic is false" in event.text
        [told] = overview_of(place)["campaigns"]
        assert (told["drift"], told["unanswered_drift"]["onset_sequence"]) == (None, 35)
        line, noticed = status_lines(overview_of(place))
        assert "monitoring, drift from frame 35 on not answered;" in line
        assert noticed.startswith("scope: three returned images would show noise +")


def test_a_drift_that_was_only_noted_is_answered_once_that_is_switched_on(tmp_path: Path):
    with workplace(tmp_path, drift=DriftSettings(automatic=False)) as place:
        instrument = enrolled(place)
        measured(place, instrument)
        returned(place, instrument, {30: 1.0, 35: 1.5, 40: 1.5})
        drifting.answer(place, instrument.id)
        on = place.settings.model_copy(update={"drift": DriftSettings()})
        assert drifting.answer(replace(place, settings=on), instrument.id) is not None


def test_each_campaign_asks_for_its_own_images_and_for_what_was_refused(
    place: Workplace, instrument: Instrument
):
    measured(place, instrument)
    returned(place, instrument, {30: 1.5, 35: 1.5})
    drifting.answer(place, instrument.id)
    asked = place.settings.first_images
    assert requests_of(place, instrument) == (
        ImageRequest(campaign=1, from_sequence=1, count=asked),
        ImageRequest(campaign=2, from_sequence=30, count=asked),
    )
    told = place.uploads.declare(instrument.id, declaration(b"?", 31), NOW + 60)
    place.uploads.refuse(told.id, "no image")
    assert [each.count for each in requests_of(place, instrument)] == [asked, asked + 1]


SERVED, HELD_AGAINST = ClassicalRef(id="median"), ClassicalRef(id="tv")


def returned_with(place: Workplace, release: Release, sequence: int, **scored: Any) -> None:
    """An image comes back from the served network, and is scored."""
    instrument_id = release.instrument_id
    image = received(place, instrument_id, sequence)
    place.observations.keep(image, showing())
    place.scores.keep(
        MonitoringScore(
            image_id=image.id,
            instrument_id=instrument_id,
            sequence=sequence,
            release_id=release.id,
            method=SERVED,
            metric="psnr_repeat",
            reason=None,
            at=NOW,
            **scored,
        )
    )


def at_the_gate(
    place: Workplace,
    campaign_id: str,
    scores: dict[str, list[float]],
    perfect: list[float] | None = None,
) -> None:
    """Keep a sitting of the gate at which these methods scored so on one field each."""
    fields = [f"gate-{number}" for number in range(len(next(iter(scores.values()))))]
    found = Scores(
        metric=Metric.PSNR_REPEAT,
        fields=tuple(fields),
        names=tuple(fields),
        refs={name: ClassicalRef(id=name) for name in scores},
        values={name: tuple(each) for name, each in scores.items()},
    )
    record = {
        "verdict": {"best_classical": "tv"},
        "rivals": {"classical": [name for name in scores if name != "median"]},
        "means": {name: found.mean(name) for name in scores},
        "scores": found.model_dump(mode="json"),
        "perfect": dict(zip(fields, perfect or (), strict=False)),
    }
    place.campaigns.find_out(campaign_id, Finding.FIRST_GATE, record)


@pytest.mark.parametrize("known", [True, False])
def test_a_score_that_falls_next_to_a_perfect_result_is_a_drift_though_specimens_hide_it(
    place: Workplace, instrument: Instrument, known: bool
):
    rng = np.random.default_rng(1)
    campaign_id = measured(place, instrument)
    release = release_assigned(place, instrument, SERVED, ["best"], campaign_id, ReleasePurpose.FIRST)
    specimens = 30 + 2 * rng.standard_normal(8)
    at_the_gate(place, campaign_id, {"median": [*specimens]}, [*(specimens + 0.3)] if known else None)
    for sequence in range(30, 60, 5):
        perfect = 30 + 2 * float(rng.standard_normal())
        loss = 0.3 if sequence < 45 else 1.3
        returned_with(place, release, sequence, score=perfect - loss, perfect=perfect)
    changes = {each["feature"]: each["change"] for each in drifting.noticeable_told(place, instrument.id)}
    drifting.answer(place, instrument.id)
    if not known:
        assert drifts_of(place, instrument) == []
        assert changes["score"] > 5
        return
    [drift] = drifts_of(place, instrument)
    assert (drift["feature"], drift["onset_sequence"], drift["detected_sequence"]) == ("score", 45, 55)
    assert drift["against"] == "a perfect result"
    assert changes["score"] < 1
    [event] = latest_campaign(place, instrument.id).events
    assert "score against a perfect result fell by 1 dB (-0.3 -> -1.3) from frame 45 on" in event.text


def test_edges_that_grow_soft_are_a_drift_and_images_without_edges_are_none(
    place: Workplace, instrument: Instrument
):
    measured(place, instrument, images=0)
    campaign = latest_campaign(place, instrument.id)
    first = []
    for sequence in range(1, 29):
        image = received(place, instrument.id, sequence, ImagePurpose.FIRST)
        shown = showing(1 + 0.01 * (-1) ** sequence)
        place.observations.keep(image, shown.model_copy(update={"sharpness": 1.5 + 0.02 * (-1) ** sequence}))
        first.append(image.id)
    place.campaigns.find_out(campaign.id, Finding.IMAGES, first)
    for sequence, sharpness in ((30, None), (35, 1.5), (40, None), (45, 1.2), (50, 1.2), (55, None)):
        image = received(place, instrument.id, sequence)
        place.observations.keep(image, showing().model_copy(update={"sharpness": sharpness}))
    assert drifting.answer(place, instrument.id) is None
    image = received(place, instrument.id, 60)
    place.observations.keep(image, showing().model_copy(update={"sharpness": 1.2}))
    drifting.answer(place, instrument.id)
    [drift] = drifts_of(place, instrument)
    assert (drift["feature"], drift["onset_sequence"], drift["detected_sequence"]) == ("sharpness", 45, 60)


def test_a_score_that_falls_next_to_a_classical_algorithm_is_a_drift_though_specimens_hide_it(
    place: Workplace, instrument: Instrument
):
    rng = np.random.default_rng(0)
    campaign_id = measured(place, instrument)
    release = release_assigned(place, instrument, SERVED, ["best"], campaign_id, ReleasePurpose.FIRST)
    specimens = 30 + 2 * rng.standard_normal(8)
    at_the_gate(
        place,
        campaign_id,
        {"median": [*specimens], "tv": [*(specimens - 0.4)], "gaussian": [*(specimens - 0.9)]},
    )
    campaign = latest_campaign(place, instrument.id)
    assert reference_of(campaign, SERVED) == HELD_AGAINST
    assert reference_of(campaign, HELD_AGAINST) == ClassicalRef(id="gaussian")
    for sequence in range(30, 60, 5):
        score = 30 + 2 * float(rng.standard_normal())
        lead = 0.4 if sequence < 45 else -0.7
        returned_with(
            place, release, sequence, score=score, reference=HELD_AGAINST, reference_score=score - lead
        )
    drifting.answer(place, instrument.id)
    [drift] = drifts_of(place, instrument)
    assert (drift["feature"], drift["onset_sequence"], drift["detected_sequence"]) == ("lead", 45, 55)
    [event] = latest_campaign(place, instrument.id).events
    assert "score against tv fell by 1.1 dB (0.4 -> -0.7) from frame 45 on" in event.text
