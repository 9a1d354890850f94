"""A founded coordinator's folder, and the public port with nothing behind it but Flower's fleet."""

import base64
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI

from coordinator.api import fleet, refusals
from coordinator.api.bounds import BoundBody
from coordinator.federation import control
from coordinator.founding import found
from coordinator.settings import Settings, read_settings
from coordinator.store.database import Database
from coordinator.store.identities import Identities
from model_library.signing.keys import generate_instrument_key, public_pem
from model_library.wire.identity import EnrolRequest
from model_library.wire.tasks import Denoise

NOW = 1_800_000_000.0


def founded(folder: Path) -> Settings:
    """Found a coordinator on loopback."""
    found(folder / "data", ["127.0.0.1"], 0, time.time())
    return read_settings(folder / "data")


@dataclass(frozen=True)
class Enrolled:
    """An instrument and its private key (PEM)."""

    id: str
    key: bytes


def enrol(identities: Identities, name: str) -> Enrolled:
    """Enrol an instrument with a key of its own."""
    key = generate_instrument_key()
    request = EnrolRequest(token="0" * 16, site_name=name, task=Denoise(), public_key_pem=public_pem(key))
    return Enrolled(identities.enrol(request, identities.new_enrol_token(NOW, 60.0), NOW).id, key)


@contextmanager
def identities_of(settings: Settings) -> Iterator[Identities]:
    """Open the coordinator's database."""
    database = Database(settings.database)
    yield Identities(database)
    database.close()


def signed_headers(signer: bytes, shown: bytes | None = None) -> dict[str, str]:
    """Headers by which a SuperNode proves its key; `shown` is the key it claims, its own by default."""
    moment = datetime.now(UTC).isoformat()
    key = serialization.load_pem_private_key(signer, None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    signature = key.sign(moment.encode(), ec.ECDSA(hashes.SHA256()))
    return {
        "flwr-public-key": base64.b64encode(public_pem(shown or signer).encode()).decode(),
        "flwr-timestamp": moment,
        "flwr-signature": base64.b64encode(signature).decode(),
        "content-type": "application/protobuf",
        "accept": "application/protobuf",
    }


@contextmanager
def served(app: FastAPI, certificate: Path, key: Path) -> Iterator[int]:
    """Serve an application over HTTPS on loopback from a thread; yields the port."""
    files = {"ssl_certfile": certificate, "ssl_keyfile": key}
    config = uvicorn.Config(app, "127.0.0.1", 0, log_config=None, ws="none", lifespan="on", **files)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        assert server.started
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def front(settings: Settings, engine: Any, identities: Identities) -> Iterator[int]:
    """Serve the fleet path as the coordinator does; yields the public port."""

    @asynccontextmanager
    async def lifespan(app: FastAPI):
        app.state.fleet = fleet.FleetFront(engine, identities)
        yield
        await app.state.fleet.close()

    app = FastAPI(lifespan=lifespan, openapi_url=None)
    app.add_middleware(BoundBody)
    refusals.install(app)
    app.include_router(fleet.router)
    with served(app, settings.tls / "server.pem", settings.keys / "server.key") as port:
        yield port


@contextmanager
def caller(settings: Settings, port: int) -> Iterator[httpx.Client]:
    """A client that trusts this coordinator only."""
    trust = ssl.create_default_context(cafile=str(settings.tls / "ca.pem"))
    with httpx.Client(
        base_url=f"https://127.0.0.1:{port}", verify=trust, timeout=20, trust_env=False
    ) as client:
        yield client


def app_of(folder: Path, server: str, client: str, config: Mapping[str, str] | None = None) -> bytes:
    """Pack a Flower app of somebody else under the name of ours."""
    source = folder / "other_app"
    source.mkdir(parents=True)
    (source / "__init__.py").write_text("")
    (source / "server_app.py").write_text(server)
    (source / "client_app.py").write_text(client)
    keys = "\n".join(f'{name} = "{value}"' for name, value in (config or {}).items())
    (folder / "pyproject.toml").write_text(
        f"""\
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "federation"
version = "1.0.0"
description = "An app of a test."
license = "Apache-2.0"
dependencies = ["flwr==1.41.0"]
[tool.hatch.build.targets.wheel]
packages = ["."]
[tool.flwr.app]
publisher = "synoptic"
[tool.flwr.app.components]
serverapp = "other_app.server_app:app"
clientapp = "other_app.client_app:app"
[tool.flwr.app.config]
federation-id = ""
{keys}
"""
    )
    return control.build_bundle(folder)
