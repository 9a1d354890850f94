"""The fleet path on the public port: who gets through, with what, and what is not there at all."""

import asyncio
import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

from coordinator.api import fleet
from coordinator.api.bounds import FLEET_BYTES
from coordinator.federation.control import SuperLinkControl
from coordinator.federation.engine import FlowerEngine
from coordinator.settings import Settings
from coordinator.store.identities import Identities
from model_library.signing.keys import generate_instrument_key, public_pem

from ..conftest import Coordinator
from .serving import NOW, Enrolled, caller, enrol, founded, front, identities_of, served, signed_headers

pytestmark = pytest.mark.timeout(200)

ACTIVATE = "/v1/fleet/activate-node"


@dataclass
class Superlink:
    """A stand-in behind the front that keeps what reaches it."""

    authority: Path
    port: int = 0
    up: bool = True
    heard: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)

    def is_up(self) -> bool:
        return self.up

    def app(self) -> FastAPI:
        app = FastAPI()

        @app.post("/{path:path}")
        async def hear(path: str, request: Request) -> Response:
            self.heard.append((path, dict(request.headers), await request.body()))
            if path.endswith("pull-messages"):
                await asyncio.sleep(3)
            if path.endswith("pull-object"):
                return StreamingResponse(iter([b"a" * 100_000] * 50), headers={"flwr-version": "1.41.0"})
            return Response(b"answer", 418, {"set-cookie": "a=b"})

        return app


@dataclass(frozen=True)
class Place:
    """A public port with a stand-in behind it."""

    settings: Settings
    identities: Identities
    superlink: Superlink
    client: httpx.Client
    bench: Enrolled


@pytest.fixture(scope="module")
def module_place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    settings = founded(tmp_path_factory.mktemp("fleet"))
    superlink = Superlink(settings.tls / "ca.pem")
    tls = settings.tls / "server.pem", settings.keys / "server.key"
    with (
        identities_of(settings) as identities,
        served(superlink.app(), *tls) as behind,
        front(settings, superlink, identities) as port,
        caller(settings, port) as client,
    ):
        superlink.port = behind
        yield Place(settings, identities, superlink, client, enrol(identities, "bench"))


@pytest.fixture
def place(module_place: Place) -> Place:
    module_place.superlink.heard.clear()
    module_place.superlink.up = True
    return module_place


def test_a_known_key_passes_and_the_answer_comes_back_as_it_is(place: Place) -> None:
    headers = {**signed_headers(place.bench.key), "authorization": "Bearer secret", "cookie": "a=b"}
    answer = place.client.post(ACTIVATE, headers=headers, content=b"request")
    assert (answer.status_code, answer.content) == (418, b"answer")
    assert "set-cookie" not in answer.headers
    [(path, heard, body)] = place.superlink.heard
    assert (path, body) == ("v1/fleet/activate-node", b"request")
    assert heard["flwr-signature"] == headers["flwr-signature"]
    assert not {"authorization", "cookie"} & set(heard)


def test_a_large_object_goes_through_in_both_directions(place: Place) -> None:
    sent = bytes(6_000_000)
    answer = place.client.post("/v1/fleet/pull-object", headers=signed_headers(place.bench.key), content=sent)
    assert answer.content == b"a" * 5_000_000
    assert answer.headers["flwr-version"] == "1.41.0"
    assert place.superlink.heard[0][2] == sent


@pytest.mark.parametrize(
    "header",
    ["", "no base64!", "bm8ga2V5", "A" * 5000, None],
    ids=["empty", "not base64", "no key", "endless", "missing"],
)
def test_what_is_not_the_key_of_an_instrument_is_refused(place: Place, header: str | None) -> None:
    headers = {} if header is None else {"flwr-public-key": header}
    answer = place.client.post(ACTIVATE, headers=headers, content=b"x")
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthenticated")
    assert place.superlink.heard == []


def test_a_key_that_nobody_enrolled_is_refused(place: Place) -> None:
    answer = place.client.post(ACTIVATE, headers=signed_headers(generate_instrument_key()))
    assert answer.status_code == 401
    assert place.superlink.heard == []


def test_a_revoked_instrument_is_refused_with_its_next_request(place: Place) -> None:
    leaving = enrol(place.identities, "leaving")
    headers = signed_headers(leaving.key)
    assert place.client.post(ACTIVATE, headers=headers).status_code == 418
    place.identities.revoke(leaving.id, NOW)
    assert place.client.post(ACTIVATE, headers=headers).status_code == 401
    assert len(place.superlink.heard) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/v1/fleet/register-node",
        "/v1/fleet/unregister-node",
        "/v1/fleet/../control/start-run",
        "/v1/fleet/%2e%2e/control/start-run",
        "/v1/fleet/..%2fcontrol%2fstart-run",
        "/v1/fleet//activate-node",
        "/v1/fleet/activate-node/",
        "/v1/fleet/",
        "/v1/control/start-run",
        "/v1/control/list-nodes",
        "/v1/control/register-node",
        "/v1/runtime/acquire-task",
        "/health",
    ],
)
def test_no_other_route_is_forwarded_even_for_an_instrument(place: Place, path: str) -> None:
    assert raw_post(place, path, signed_headers(place.bench.key)) == 404
    assert place.superlink.heard == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
def test_no_other_method_is_forwarded(place: Place, method: str) -> None:
    answer = place.client.request(method, ACTIVATE, headers=signed_headers(place.bench.key))
    assert answer.status_code == 405
    assert place.superlink.heard == []


def test_a_body_that_is_too_large_or_of_unknown_length_is_refused_unread(place: Place) -> None:
    headers = signed_headers(place.bench.key)
    assert raw_post(place, ACTIVATE, {**headers, "content-length": str(FLEET_BYTES + 1)}) == 413
    assert place.client.post(ACTIVATE, headers=headers, content=iter([b"x"])).status_code == 411
    assert place.superlink.heard == []


def test_without_an_engine_a_supernode_is_told_to_try_again(place: Place) -> None:
    place.superlink.up = False
    answer = place.client.post(ACTIVATE, headers=signed_headers(place.bench.key))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "engine_down")


def test_an_engine_that_has_just_died_looks_the_same(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place.superlink, "port", 1)
    assert place.client.post(ACTIVATE, headers=signed_headers(place.bench.key)).status_code == 503


def test_an_engine_that_does_not_answer_is_given_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "DEADLINE_S", 0.3)
    answer = place.client.post("/v1/fleet/pull-messages", headers=signed_headers(place.bench.key))
    assert answer.status_code == 503


def raw_post(place: Place, path: str, headers: dict[str, str]) -> int:
    """Ask for a path exactly as it is written."""
    trust = ssl.create_default_context(cafile=str(place.settings.tls / "ca.pem"))
    public = place.client.base_url
    connection = http.client.HTTPSConnection(public.host, public.port, context=trust, timeout=20)
    try:
        connection.putrequest("POST", path)
        for name, value in {"content-length": "0", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()


def test_a_running_coordinator_has_the_fleet_path_and_compares_keys_however_they_were_spelt(
    coordinator: Coordinator,
) -> None:
    key = generate_instrument_key()
    spelt = "\r\n" + public_pem(key).replace("\n", "\r\n")
    instrument = enrol_over_http(coordinator, "windows", public_key_pem=spelt)
    with coordinator.client() as client:
        assert client.post(ACTIVATE, headers=signed_headers(key)).status_code == 503
        assert client.post(ACTIVATE, headers=signed_headers(generate_instrument_key())).status_code == 401
        assert client.post("/v1/control/list-nodes", headers=signed_headers(key)).status_code == 404
    with coordinator.client((coordinator.data / "operator.token").read_text()) as operator:
        operator.post(f"/v1/instruments/{instrument}/revoke")
    with coordinator.client() as client:
        assert client.post(ACTIVATE, headers=signed_headers(key)).status_code == 401


def enrol_over_http(coordinator: Coordinator, name: str, public_key_pem: str) -> str:
    """Enrol a key as it is given; returns the instrument's id."""
    body = {
        "token": coordinator.enrol_token(),
        "site_name": name,
        "task": {"kind": "denoise"},
        "public_key_pem": public_key_pem,
    }
    with coordinator.client() as client:
        return client.post("/v1/enrol", json=body).json()["instrument_id"]


@contextmanager
def public_port(settings: Settings, engine: FlowerEngine, identities: Identities) -> Iterator[httpx.Client]:
    with front(settings, engine, identities) as port, caller(settings, port) as client:
        yield client


def test_a_stranger_can_neither_start_a_run_nor_list_nodes_nor_join(tmp_path: Path) -> None:
    from flwr.proto.control_pb2 import ListNodesRequest, RegisterNodeRequest, StartRunRequest
    from flwr.proto.fleet_pb2 import ActivateNodeRequest, PullMessagesRequest, RegisterNodeFleetRequest
    from flwr.proto.node_pb2 import Node

    settings = founded(tmp_path)
    stranger = generate_instrument_key()
    own = public_pem(stranger).encode()
    with (
        identities_of(settings) as identities,
        FlowerEngine(settings) as engine,
        public_port(settings, engine, identities) as client,
        SuperLinkControl(engine.port, engine.authority, engine.database) as truth,
    ):
        bench = enrol(identities, "bench")
        engine.register(bench.id, public_pem(bench.key))

        def attempt(path: str, message: Any, headers: dict[str, str]) -> int:
            return client.post(path, headers=headers, content=message.SerializeToString()).status_code

        for headers in ({}, signed_headers(stranger), signed_headers(bench.key)):
            assert attempt("/v1/control/start-run", StartRunRequest(), headers) == 404
            assert attempt("/v1/control/list-nodes", ListNodesRequest(), headers) == 404
            assert attempt("/v1/control/register-node", RegisterNodeRequest(public_key=own), headers) == 404
        joining = RegisterNodeFleetRequest(public_key=own)
        assert attempt("/v1/fleet/register-node", joining, signed_headers(stranger)) == 401
        assert attempt("/v1/fleet/register-node", joining, signed_headers(bench.key)) == 404
        activating = ActivateNodeRequest(public_key=own, heartbeat_interval=30)
        assert attempt(ACTIVATE, activating, signed_headers(stranger)) == 401
        # With the instrument's public key, but without its private one.
        posing = signed_headers(stranger, shown=bench.key)
        as_bench = ActivateNodeRequest(public_key=public_pem(bench.key).encode(), heartbeat_interval=30)
        assert attempt(ACTIVATE, as_bench, posing) == 401
        # With an instrument's own signature, in another's place.
        foreign = PullMessagesRequest(node=Node(node_id=12345))
        assert attempt("/v1/fleet/pull-messages", foreign, signed_headers(bench.key)) == 401
        assert truth.nodes() == {bench.id: "registered"}
        assert truth.unfinished_runs() == ()
        assert attempt(ACTIVATE, as_bench, signed_headers(bench.key)) == 200
        assert truth.nodes() == {bench.id: "online"}
