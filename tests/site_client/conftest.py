"""A site folder, frames as an instrument writes them, and a small coordinator over real HTTPS."""

import base64
import json
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordinator.releases import repository, roles
from model_library.cards.card import NetworkCard
from model_library.cards.release import ReleaseManifest, channel_target, weights_target
from model_library.images.frame import Frame
from model_library.images.writers import encode_acquisition
from model_library.processes.child import Child
from model_library.signing.certificates import create_ca, fingerprint, issue_server_certificate
from model_library.signing.digests import sha256_bytes
from model_library.wire.methods import ClassicalRef, MethodRef
from model_library.wire.tasks import Denoise, Task
from site_client.database import Database
from site_client.identity import enrol
from site_client.journal import Journal
from site_client.ledger import Ledger
from site_client.memory import Memory
from site_client.outbox import Outbox
from site_client.settings import SiteSettings

from ..waiting import until


def frame_bytes(seed: int, shape: tuple[int, int] = (48, 64), field: str | None = None) -> bytes:
    """One OME-TIFF, different for every seed."""
    pixels = np.random.default_rng(seed).poisson(200, shape).astype(np.uint16)
    return encode_acquisition(Frame(pixels, pixel_size_nm=4.0, field=field))


@dataclass
class FakeCoordinator:
    """The HTTP API of the plan in memory, with faults on demand and a real TUF repository."""

    folder: Path
    host: str = "127.0.0.1"
    port: int = 0
    orders: dict[str, object] = field(
        default_factory=lambda: {
            "first_images": [{"campaign": 1, "from_sequence": 1, "count": 3}],
            "every_n": 2,
            "release_id": None,
        }
    )
    heartbeats: list[dict[str, object]] = field(default_factory=list)
    uploads: list[dict[str, object]] = field(default_factory=list)
    patches: int = 0
    drop_patches: set[int] = field(default_factory=set)
    refuse: dict[str, str] = field(default_factory=dict)
    tampered: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    down: bool = False
    expired: bool = False
    tokens: int = 0
    claims: list[list[str]] = field(default_factory=list)
    tuning: Callable[[str], bool] = lambda _: True
    federation_over: bool = False
    clock_shift_s: float = 0.0

    def __post_init__(self) -> None:
        self.ca = create_ca(datetime.now(UTC))
        self.server_certificate = issue_server_certificate(
            self.ca, ["127.0.0.1", "coordinator.invalid"], datetime.now(UTC)
        )
        keys = self.folder / "keys"
        keys.mkdir(parents=True)
        signers = roles.make_keys(keys)
        repository.found(self.folder / "releases", signers, time.time())
        self.repository = repository.ReleaseRepository(self.folder / "releases", signers)

    @property
    def url(self) -> str:
        return f"https://{self.host}:{self.port}"

    @property
    def enrolment_token(self) -> str:
        return f"secret.{fingerprint(self.ca.certificate_pem)[:32]}"

    def release(
        self,
        release_id: str,
        method: MethodRef,
        *,
        card: NetworkCard | None = None,
        weights: bytes | None = None,
        task: Task | None = None,
        instrument_id: str = "instrument-1",
    ) -> None:
        manifest = ReleaseManifest(
            release_id=release_id,
            instrument_id=instrument_id,
            task=task or Denoise(),
            method=method,
            card=card,
            weights_target=None if card is None else weights_target(card.weights_sha256),
            reasons=("it won",),
            created_at=datetime.now(UTC),
        )
        files = {channel_target("instrument-1"): manifest.model_dump_json().encode()}
        if weights is not None:
            files[weights_target(sha256_bytes(weights))] = weights
        self.repository.publish(files, time.time())
        self.orders["release_id"] = release_id

    def trust(self, entities: object) -> None:
        self.repository.publish(
            {"federation/trusted-entities.json": json.dumps(entities).encode()}, time.time()
        )

    def claimed(self, path: str, fields: list[str]) -> tuple[int, dict[str, object]]:
        self.claims.append(fields)
        if self.federation_over:
            return 409, {"error": {"code": "federation_over", "message": f"{path}: it is over"}}
        return 200, {"tuning": [each for each in fields if self.tuning(each)]}

    def delivered(self, purpose: str) -> list[int]:
        return sorted(
            upload["declaration"]["sequence"]
            for upload in self.uploads
            if upload["declaration"]["purpose"] == purpose
            and len(upload["content"]) == upload["declaration"]["bytes"]
        )


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    coordinator: FakeCoordinator

    def log_message(self, *_: object) -> None:
        return

    def date_time_string(self, timestamp: float | None = None) -> str:
        now = time.time() if timestamp is None else timestamp
        return super().date_time_string(now + self.coordinator.clock_shift_s)

    def _reply(self, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, message: str) -> None:
        self._reply(status, json.dumps({"error": {"code": "refused", "message": message}}).encode())

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def parse_request(self) -> bool:
        if self.coordinator.down:
            self.close_connection = True
            return False
        return super().parse_request()

    def do_GET(self) -> None:
        if self.path == "/v1/ca.pem":
            self._reply(200, self.coordinator.ca.certificate_pem)
            return
        relative = self.path.removeprefix("/v1/releases/")
        path = self.coordinator.folder / "releases" / relative
        if not path.is_file():
            self._refuse(404, "no such file")
            return
        content = path.read_bytes()
        for part, tamper in self.coordinator.tampered.items():
            if part in relative:
                content = tamper(content)
        self._reply(200, content)

    def do_POST(self) -> None:
        body = self._body()
        match self.path:
            case "/v1/enrol":
                root = self.coordinator.repository.root()
                reply: object = {"instrument_id": "instrument-1", "tuf_root": root}
            case "/v1/token":
                self.coordinator.tokens += 1
                reply = {"access_token": f"token-{self.coordinator.tokens}", "expires_in_s": 600}
            case "/v1/heartbeat":
                if self.headers["Authorization"] != f"Bearer token-{self.coordinator.tokens}":
                    self._refuse(401, "old token")
                    return
                self.coordinator.heartbeats.append(json.loads(body))
                reply = self.coordinator.orders
            case path if path.startswith("/v1/federations/"):
                status, reply = self.coordinator.claimed(path, json.loads(body)["fields"])
                self._reply(status, json.dumps(reply).encode())
                return
            case path if path.startswith("/v1/fleet/"):
                self._refuse(503, "Flower is not up")
                return
            case _:
                self._declare()
                return
        self._reply(200, json.dumps(reply).encode())

    def _declare(self) -> None:
        encoded = self.headers["Upload-Metadata"].removeprefix("declaration ")
        declaration = json.loads(base64.b64decode(encoded))
        named = (declaration["purpose"], declaration["sequence"])
        for number, upload in enumerate(self.coordinator.uploads):
            if (upload["declaration"]["purpose"], upload["declaration"]["sequence"]) == named:
                self._reply(201, headers={"Location": f"/v1/uploads/{number}"})
                return
        known = [
            upload["content"]
            for upload in self.coordinator.uploads
            if upload["declaration"]["sha256"] == declaration["sha256"]
            and sha256_bytes(upload["content"]) == declaration["sha256"]
        ]
        self.coordinator.uploads.append({"declaration": declaration, "content": known[0] if known else b""})
        location = f"{self.coordinator.url}/v1/uploads/{len(self.coordinator.uploads) - 1}"
        self._reply(201, headers={"Location": location})

    def do_HEAD(self) -> None:
        if self.coordinator.expired:
            self.coordinator.expired = False
            self.coordinator.uploads.clear()
            self._reply(410)
            return
        upload = self.coordinator.uploads[int(self.path.rpartition("/")[2])]
        headers = {"Upload-Offset": str(len(upload["content"]))}
        if reason := self.coordinator.refuse.get(upload["declaration"]["file_name"]):
            headers["Synoptic-Refused"] = reason
        self._reply(200, headers=headers)

    def do_PATCH(self) -> None:
        self.coordinator.patches += 1
        upload = self.coordinator.uploads[int(self.path.rpartition("/")[2])]
        if int(self.headers["Upload-Offset"]) != len(upload["content"]):
            self._refuse(409, "other offset")
            return
        if self.coordinator.patches in self.coordinator.drop_patches:
            self.close_connection = True
            return
        body = self._body()
        upload["content"] += body
        self._reply(204, headers={"Upload-Offset": str(len(upload["content"]))})


@pytest.fixture
def frame_of() -> Callable[..., bytes]:
    return frame_bytes


@pytest.fixture(name="until")
def until_fixture() -> Callable[..., Any]:
    return partial(until, every_s=0.02)


@pytest.fixture
def coordinator(tmp_path: Path) -> Iterator[FakeCoordinator]:
    fake = FakeCoordinator(tmp_path / "coordinator")
    handler = type("Handler", (_Handler,), {"coordinator": fake})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    chain, key = tmp_path / "server.pem", tmp_path / "server.key"
    chain.write_bytes(fake.server_certificate.certificate_pem)
    key.write_bytes(fake.server_certificate.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    fake.port = server.server_port
    server.handle_error = lambda *_: None  # a client that was killed is no error here
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield fake
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def engine_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one test learns of an architecture, the next one knows; the user's own cache stays as it is."""
    return tmp_path_factory.mktemp("engine-cache")


@pytest.fixture
def settings(tmp_path: Path, engine_cache: Path, request: pytest.FixtureRequest) -> SiteSettings:
    url = "https://127.0.0.1:1"
    if "coordinator" in request.fixturenames:
        url = request.getfixturevalue("coordinator").url
    return SiteSettings(
        coordinator_url=url,
        site_name="sem-1",
        task=Denoise(),
        acquisitions=tmp_path / "acquisitions",
        results=tmp_path / "results",
        engine_cache=engine_cache,
        settle_s=0.3,
        incomplete_s=0.8,
        heartbeat_s=0.1,
        call_deadline_s=3.0,
        nice=0,
        adaptation_nice=0,
    )


@dataclass(frozen=True)
class Site:
    folder: Path
    settings: SiteSettings
    memory: Memory
    ledger: Ledger
    journal: Journal
    outbox: Outbox

    def acquire(self, number: int, content: bytes | None = None) -> Path:
        """Write one file whole and close it."""
        path = self.settings.acquisitions / f"frame-{number:03d}.tif"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(frame_bytes(number) if content is None else content)
        return path


@pytest.fixture
def site(tmp_path: Path, settings: SiteSettings) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    database = Database(folder / "ledger.sqlite")
    memory = Memory(database)
    yield Site(folder, settings, memory, memory.ledger, memory.journal, memory.outbox)
    database.close()


@pytest.fixture
def enrolled(site: Site, coordinator: FakeCoordinator) -> Site:
    enrol(site.folder, site.settings, coordinator.enrolment_token)
    return site


@pytest.fixture
def inspector(tmp_path: Path) -> Iterator[Child]:
    child = Child(
        [sys.executable, "-m", "model_library.images.inspector", str(3 << 30), "10"],
        log=tmp_path / "inspector.log",
    )
    yield child
    child.stop()


@pytest.fixture
def gaussian() -> ClassicalRef:
    return ClassicalRef(id="gaussian", parameters={"sigma_px": 1.0})


@pytest.fixture
def start_daemon(enrolled: Site) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from model_library.cli import main; main()",
                "site",
                "run",
                "--folder",
                str(enrolled.folder),
            ]
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
