"""Federations over the public port: what a site and the operator may ask, and what nobody may."""

import json
from pathlib import Path
from subprocess import CompletedProcess

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


def test_a_federation_is_stopped_by_the_operator_only(
    coordinator: Coordinator, instrument: Instrument
) -> None:
    for path in ("federation-0001/stop", f"quarantine/{instrument.id}/lift"):
        assert instrument.client.post(f"/v1/federations/{path}", json={}).status_code == 403
        assert coordinator.client().post(f"/v1/federations/{path}", json={}).status_code == 401


def federation(coordinator: Coordinator, command: str, *arguments: str) -> CompletedProcess[str]:
    return synoptic("federation", command, *arguments, "--data", str(coordinator.data))


def test_the_operator_is_told_why_none_can_begin(coordinator: Coordinator) -> None:
    done = federation(coordinator, "start")
    assert done.returncode != 0
    assert "expected one cohort with at least 3 instruments ready" in done.stderr
    named = federation(coordinator, "start", "--cohort", "elsewhere")
    assert "expected one of the cohorts none, found elsewhere" in named.stderr


def test_the_operator_sees_cohorts_federations_and_quarantine(
    coordinator: Coordinator, tmp_path: Path
) -> None:
    file = tmp_path / "told.json"
    done = federation(coordinator, "status", "--json", str(file))
    assert (done.returncode, done.stdout[:13]) == (0, "No cohort yet"), done.stderr
    told = {"cohorts": [], "federations": [], "quarantine": []}
    assert json.loads(file.read_text()) == told
    assert json.loads(federation(coordinator, "status", "--json", "-").stdout) == told


def test_what_is_not_there_cannot_be_shown_stopped_or_lifted(coordinator: Coordinator) -> None:
    shown = federation(coordinator, "status", "federation-0009")
    assert (shown.returncode, "found federation-0009" in shown.stderr) == (2, True)
    none = federation(coordinator, "stop")
    assert (none.returncode, "expected a federation under way" in none.stderr) == (2, True)
    stopped = federation(coordinator, "stop", "federation-0009")
    assert (stopped.returncode, "found none called federation-0009" in stopped.stderr) == (1, True)
    lifted = federation(coordinator, "lift-quarantine", "nobody")
    assert (lifted.returncode, "found none with id nobody" in lifted.stderr) == (1, True)
