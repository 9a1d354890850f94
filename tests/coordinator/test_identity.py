"""Enrolment, tokens, revocation: who may speak to a coordinator."""

import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from model_library.signing.certificates import fingerprint
from model_library.signing.keys import generate_instrument_key, public_pem
from model_library.wire.base import WIRE_VERSION

from .conftest import Coordinator, Instrument, acquisition, declaration, enrol


@pytest.fixture(scope="module")
def first(coordinator: Coordinator) -> Instrument:
    return enrol(coordinator, "first")


@pytest.fixture(scope="module")
def second(coordinator: Coordinator) -> Instrument:
    return enrol(coordinator, "second")


def test_an_enrolment_token_names_the_ca(coordinator: Coordinator) -> None:
    with coordinator.client() as client:
        pem = client.get("/v1/ca.pem").content
    assert coordinator.enrol_token().rpartition(".")[2] == fingerprint(pem)[:32]


def test_of_racing_uses_of_one_token_exactly_one_gives_an_identity(coordinator: Coordinator) -> None:
    body = {
        "token": coordinator.enrol_token(),
        "site_name": "racer",
        "task": {"kind": "denoise"},
        "public_key_pem": public_pem(generate_instrument_key()),
    }

    def attempt(_: int) -> int:
        with coordinator.client() as client:
            return client.post("/v1/enrol", json=body).status_code

    with ThreadPoolExecutor(20) as pool:
        statuses = sorted(pool.map(attempt, range(20)))
    assert statuses == [200] + [401] * 19
    racers = [each for each in coordinator.overview()["instruments"] if each["site"] == "racer"]
    assert len(racers) == 1


def test_an_enrolment_refuses_a_key_that_is_not_one(coordinator: Coordinator) -> None:
    body = {
        "token": coordinator.enrol_token(),
        "site_name": "odd",
        "task": {"kind": "denoise"},
        "public_key_pem": "no key",
    }
    with coordinator.client() as client:
        assert client.post("/v1/enrol", json=body).status_code == 422


def test_an_assertion_buys_one_token_only(first: Instrument) -> None:
    assertion = first.assertion()
    assert first.ask_token(assertion).status_code == 200
    assert first.ask_token(assertion).status_code == 409


def test_an_assertion_for_another_server_or_of_another_time_is_refused(first: Instrument) -> None:
    assert first.ask_token(first.assertion(audience="https://127.0.0.1:1/v1/token")).status_code == 401
    assert first.ask_token(first.assertion(now=int(time.time()) - 600)).status_code == 401


def test_an_assertion_signed_by_another_instrument_is_refused(first: Instrument, second: Instrument) -> None:
    forged = Instrument.__new__(Instrument)
    forged.coordinator, forged.key, forged.id = first.coordinator, second.key, first.id
    assert first.ask_token(forged.assertion()).status_code == 401


ROUTES = [
    ("POST", "/v1/heartbeat"),
    ("POST", "/v1/uploads"),
    ("HEAD", "/v1/uploads/0"),
    ("PATCH", "/v1/uploads/0"),
    ("DELETE", "/v1/uploads/0"),
    ("GET", "/v1/releases/metadata/timestamp.json"),
    ("GET", "/v1/releases/targets/channels/x.json"),
    ("GET", "/v1/overview"),
    ("POST", "/v1/enrol-tokens"),
    ("POST", "/v1/instruments/x/revoke"),
]


@pytest.mark.parametrize(("method", "route"), ROUTES)
def test_no_route_answers_without_valid_credentials(
    coordinator: Coordinator, method: str, route: str
) -> None:
    headers = {"Tus-Resumable": "1.0.0"}
    frames = {"acquired": 0, "reconstructed": 0, "waiting": 0, "set_aside": 0, "skipped": 0, "returned": 0}
    body = {"json": {"frames": frames}} if route == "/v1/heartbeat" else {}
    for token in (None, "nonsense", "operator.nonsense", "a.b.c"):
        with coordinator.client(token) as client:
            answer = client.request(method, route, headers=headers, **body)
        assert answer.status_code in (401, 403), (token, answer.text)


def test_an_instrument_is_not_the_operator(first: Instrument) -> None:
    assert first.client.get("/v1/overview").status_code == 403
    assert first.client.post("/v1/enrol-tokens").status_code == 403


def test_the_operator_is_not_an_instrument(coordinator: Coordinator) -> None:
    with coordinator.client((coordinator.data / "operator.token").read_text()) as client:
        assert client.get("/v1/releases/metadata/timestamp.json").status_code == 403


@pytest.mark.parametrize("method", ["HEAD", "PATCH", "DELETE"])
def test_an_upload_of_another_instrument_is_as_unknown_as_none(
    first: Instrument, second: Instrument, method: str
) -> None:
    location = first.declare(declaration(acquisition(1), 901)).headers["location"]
    headers = {
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
        "Content-Type": "application/offset+octet-stream",
    }
    stranger: httpx.Response = second.client.request(method, location, headers=headers)
    nothing = second.client.request(method, "/v1/uploads/" + "0" * 32, headers=headers)
    assert stranger.status_code == nothing.status_code == 404
    assert first.client.head(location, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "channels/{digest}.{other}.json",
        "weights/{digest}.{digest}.safetensors",
        "%2e%2e/metadata/timestamp.json",
        "..%2f..%2fkeys%2ftargets.pem",
    ],
)
def test_targets_of_another_instrument_and_other_files_are_out_of_reach(
    first: Instrument, second: Instrument, path: str
) -> None:
    target = path.format(digest="a" * 64, other=second.id)
    assert first.client.get(f"/v1/releases/targets/{target}").status_code in (403, 404)


def test_revocation_takes_effect_at_once(coordinator: Coordinator) -> None:
    revoked = enrol(coordinator, "revoked")
    assert revoked.client.get("/v1/releases/metadata/timestamp.json").status_code == 200
    with coordinator.client((coordinator.data / "operator.token").read_text()) as client:
        assert client.post(f"/v1/instruments/{revoked.id}/revoke").status_code == 200
    assert revoked.client.get("/v1/releases/metadata/timestamp.json").status_code == 401
    assert revoked.ask_token(revoked.assertion()).status_code == 401


def test_a_heartbeat_is_answered_with_orders(first: Instrument) -> None:
    frames = {"acquired": 3, "reconstructed": 1, "waiting": 2, "set_aside": 0, "skipped": 0, "returned": 0}
    orders = first.client.post("/v1/heartbeat", json={"frames": frames}).json()
    asked = {"campaign": 1, "from_sequence": 1, "count": 200}
    assert orders == {"first_images": [asked], "every_n": 5, "release_id": None, "invitation": None}
    seen = {each["id"]: each for each in first.coordinator.overview()["instruments"]}[first.id]
    assert seen["heartbeat"]["frames"] == {**frames, "skipped": 0}


def test_another_wire_version_is_refused(first: Instrument) -> None:
    frames = {"acquired": 0, "reconstructed": 0, "waiting": 0, "set_aside": 0, "skipped": 0, "returned": 0}
    answer = first.client.post("/v1/heartbeat", json={"frames": frames, "wire_version": 99})
    assert answer.status_code == 409
    assert f"wire version {WIRE_VERSION}" in answer.json()["error"]["message"]


def test_a_message_larger_than_any_is_refused_unread(coordinator: Coordinator) -> None:
    with coordinator.client() as client:
        assert client.post("/v1/enrol", content=b"x" * 100_000).status_code == 413
        assert client.post("/v1/enrol", content=iter([b"x"])).status_code == 411


def test_neither_database_nor_log_holds_a_token(coordinator: Coordinator) -> None:
    token = coordinator.enrol_token()
    enrol(coordinator, "quiet", token=token)
    operator = (coordinator.data / "operator.token").read_text()
    with sqlite3.connect(coordinator.data / "synoptic.sqlite") as connection:
        dump = "\n".join(connection.iterdump())
    connection.close()
    for secret in (token.partition(".")[0], operator):
        assert secret not in dump
        assert secret not in coordinator.log


def test_private_keys_are_the_owners_only(coordinator: Coordinator) -> None:
    for file in [*(coordinator.data / "keys").iterdir(), coordinator.data / "operator.token"]:
        assert file.stat().st_mode & 0o077 == 0, file
