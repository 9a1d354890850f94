"""Federations over the public port: what a site and the operator may ask, and what nobody may."""

import json

import pytest

from .conftest import Coordinator, Instrument, enrol, synoptic

FRAMES = {"acquired": 3, "reconstructed": 3, "waiting": 0, "set_aside": 0, "returned": 0}


@pytest.fixture(scope="module")
def instrument(coordinator: Coordinator) -> Instrument:
    return enrol(coordinator, "federating", pixel_size_nm=4.0)


def test_orders_ask_for_first_images_and_invite_to_nothing_yet(instrument: Instrument) -> None:
    answer = instrument.client.post("/v1/heartbeat", json={"frames": FRAMES, "federates": True})
    assert answer.status_code == 200, answer.text
    assert answer.json()["first_images"] == [{"campaign": 1, "from_sequence": 1, "count": 200}]
    assert answer.json()["invitation"] is None


def test_fields_of_a_federation_that_is_none_are_not_granted(instrument: Instrument) -> None:
    answer = instrument.client.post("/v1/federations/federation-0001/fields", json={"fields": ["stage:1"]})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")


def test_a_federation_is_begun_by_the_operator_only(coordinator: Coordinator, instrument: Instrument) -> None:
    assert instrument.client.post("/v1/federations", json={}).status_code == 403
    assert coordinator.client().post("/v1/federations", json={}).status_code == 401
    assert coordinator.client().post("/v1/federations/federation-0001/fields", json={}).status_code == 401


def test_the_operator_is_told_why_none_can_begin(coordinator: Coordinator) -> None:
    done = synoptic("federate", "--data", str(coordinator.data))
    assert done.returncode != 0
    assert "expected one cohort with at least 3 instruments ready" in done.stderr
    named = synoptic("federate", "--data", str(coordinator.data), "--cohort", "elsewhere")
    assert "expected one of the cohorts none, found elsewhere" in named.stderr


def test_the_operator_sees_cohorts_and_federations(coordinator: Coordinator) -> None:
    done = synoptic("federations", "--data", str(coordinator.data))
    assert (done.returncode, done.stdout[:13]) == (0, "No cohort yet"), done.stderr
    told = json.loads(synoptic("federations", "--data", str(coordinator.data), "--json").stdout)
    assert told == {"cohorts": [], "federations": []}
